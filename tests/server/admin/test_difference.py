"""How two cascades differ, in words."""

from __future__ import annotations

from cascade.config import parse
from cascade_server.control.difference import changes, text_difference

_BASE = "retrieve: [{kind: bm25}]\ntiers: [{kind: identity, name: keep, depth: 5}]\n"


def _changes(before: str, after: str) -> list[str]:
    return changes(parse(before, "before"), parse(after, "after"))


def test_equal_meaning_is_no_change_however_it_is_written() -> None:
    spelt = "# a comment\ntiers:\n- depth: 5\n  kind: identity\n  name: keep\nretrieve:\n- {kind: bm25, k1: 1.2}\n"
    assert _changes(_BASE, spelt) == []
    assert text_difference(_BASE, spelt, "a", "b") != ""


def test_a_changed_value_is_named_by_its_path() -> None:
    assert _changes(_BASE, _BASE.replace("depth: 5", "depth: 7")) == ["tiers.0.depth: 5 -> 7"]


def test_a_value_that_was_left_out_has_its_default() -> None:
    assert _changes(_BASE, _BASE + "budget_ms: 80\n") == ["budget_ms: null -> 80.0"]
    assert _changes(_BASE, _BASE.replace("{kind: bm25}", "{kind: bm25, k1: 0.9}")) == ["retrieve.0.k1: 1.2 -> 0.9"]


def test_a_tier_more_or_less_is_shown_whole() -> None:
    more = _BASE.replace("depth: 5}", "depth: 5}, {kind: identity, name: trim, depth: 2}")
    (added,) = _changes(_BASE, more)
    assert added.startswith("tiers.1: absent -> {")
    assert '"name": "trim"' in added
    assert _changes(more, _BASE)[0].endswith("} -> absent")


def test_another_kind_of_stage_says_what_it_has_and_has_not() -> None:
    found = _changes(_BASE, _BASE.replace("tiers", "fuse: {kind: weighted}\ntiers"))
    assert 'fuse.kind: "rrf" -> "weighted"' in found
    assert "fuse.rrf_k: 60.0 -> absent" in found
    assert 'fuse.normalize: absent -> "min_max"' in found


def test_a_text_difference_is_empty_for_equal_texts() -> None:
    assert text_difference(_BASE, _BASE, "a", "b") == ""
