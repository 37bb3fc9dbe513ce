"""The page is one well-formed file that asks nobody for anything and shows what it is given as text."""

import json
import re
from html.parser import HTMLParser

import pytest

from cascade.evaluate.collection import Collection
from cascade.evaluate.compare import side_by_side
from cascade.evaluate.html import render
from cascade.evaluate.report import Report
from cascade.evaluate.through_server import Runs

Judged = tuple[Report, Runs]
VOID = {"meta", "input", "br", "img", "link"}


class Page(HTMLParser):
    """The tags of a page with their attributes, and the text inside each kind of tag; tags must be balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.texts.setdefault(tag, []).append(data)

    def text(self, tag: str) -> str:
        return " ".join("".join(self.texts[tag]).split())


@pytest.fixture(scope="module")
def one(collection: Collection, judged: tuple[Judged, Judged]) -> str:
    return render(collection, judged[1:])


@pytest.fixture(scope="module")
def two(collection: Collection, judged: tuple[Judged, Judged]) -> str:
    side = side_by_side(collection, judged[0][0], judged[1][0], shared=("bm25", "dense", "fuse"), seed=0)
    return render(collection, judged, side)


def test_the_page_needs_no_network_and_is_forbidden_one(two: str) -> None:
    page = Page(two)
    assert not [tag for tag, attributes in page.tags if {"src", "href", "action", "data"} & set(attributes)]
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_what_a_collection_says_is_text_and_never_markup(one: str, two: str, collection: Collection) -> None:
    for text in (one, two):
        page = Page(text)
        assert [tag for tag, _ in page.tags].count("script") == 3
        assert "img" not in [tag for tag, _ in page.tags]
        assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
        assert collection.name in page.text("h1")
        assert "Cascade tiered & <b>" in page.text("h2")


def test_every_stage_has_a_row_with_its_figures(one: str) -> None:
    shown = Page(one).text("tbody")
    for figures in ("bm25", "dense", "rrf", "joint · 2 completed · 1 skipped", "600", "500 ms"):
        assert figures in shown
    assert "1 queries degraded" in Page(one).text("p")


def test_the_data_are_json_and_the_script_finds_every_element_that_it_names(one: str) -> None:
    page = Page(one)
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', one, re.DOTALL)
    assert block is not None
    data = json.loads(block[1])
    assert len(data["stages"]) == 4
    assert len(data["queries"]) == 3
    own = one[one.rindex("<script>") :]
    named = set(re.findall(r'byId\("(\w+)"\)', own)) | set(re.findall(r'Plotly\.react\("(\w+)"', own))
    assert {"pareto", "moves", "queries", "from", "to"} <= named
    assert named <= {attributes.get("id") for _, attributes in page.tags}


def test_the_script_makes_no_markup_of_texts(one: str) -> None:
    own = one[one.rindex("<script>") :]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|XMLHttpRequest", own)


def test_two_cascades_are_put_against_each_other(one: str, two: str, judged: tuple[Judged, Judged]) -> None:
    shown = Page(two).text("section")
    assert "tiered & <b> against plain" in shown
    assert "1 wins, 1 losses, 1 ties" in shown
    assert "Both begin with bm25, dense, fuse, which ran once." in shown
    assert "against plain" not in Page(one).text("section")
