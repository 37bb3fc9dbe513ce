"""What people read of a bench: a table on a terminal, and a page that nothing gets out of."""

import io
from dataclasses import replace

from rich.console import Console

from cascade.bench import tables
from cascade.bench.html import render
from cascade.bench.html.view import rows, view
from cascade.bench.result import Result

HOSTILE = '</script><script>alert("out")</script>'


def test_the_table_says_what_was_reached(result: Result) -> None:
    out = io.StringIO()
    Console(file=out, width=140).print(tables.render(result))
    text = out.getvalue()
    assert "5.00 (4.50 – 6.00)" in text
    assert "floor met" in text
    assert "infinity-emb does not take part" in text


def test_the_page_has_every_bench_and_what_failed(result: Result) -> None:
    page = render([result, replace(result, name="bm25")], {"dense": "not done"}, {"bm25": 12.0})
    assert 'id="cross-encoder"' in page
    assert "12 s" in page
    assert "dense came to no result:" in page


def test_nothing_gets_out_of_the_page(result: Result) -> None:
    hostile = replace(
        result,
        name=HOSTILE,
        ours=replace(result.ours, name=HOSTILE),
        quality={HOSTILE: HOSTILE},
        machine={**result.machine, "processor": HOSTILE},
        notes=[HOSTILE],
    )
    assert HOSTILE not in render([hostile], {HOSTILE: HOSTILE})


def test_without_a_result_the_page_still_says_why() -> None:
    assert "all broken" in render([], {"dense": "all broken"})


def test_every_ratio_and_every_speed_is_drawn_once(result: Result) -> None:
    (drawn,) = view([result])
    assert [one["label"] for one in drawn["ratios"]] == ["peer", "peer, short"]
    assert [(one["floor"], one["aim"], one["met"]) for one in drawn["ratios"]] == [(4, 8, "floor"), (None, None, "")]
    assert [one["label"] for one in drawn["speeds"]] == ["ours", "ours, short", "peer", "peer, short"]


def test_a_peer_that_meets_several_of_ours_is_told_apart_by_them(result: Result) -> None:
    (peer, _) = result.peers
    (drawn,) = view([replace(result, peers=[peer, replace(peer, ours="ours, quick")])])
    assert [one["label"] for one in drawn["ratios"]] == ["peer (ours)", "peer (ours, quick)"]


def test_nested_quality_is_told_by_where_it_stands() -> None:
    quality = {"tau": 0.5, "on": {"wikiqa": {"ours": 1}}, "each": [{"name": "a", "loss": 0.25}], "all": [1, 2]}
    assert rows(quality) == [
        ("tau", "0.5"),
        ("on / wikiqa / ours", "1"),
        ("each / a / loss", "0.25"),
        ("all", "[1, 2]"),
    ]
