"""A cascade file is changed in one place and otherwise stays as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade import presets
from cascade.config import CrossEncoderConfig, load, parse
from cascade.errors import ConfigError, NotFoundError
from cascade.evaluate.cascade_file import with_settings, write

TEXT = """\
# Ours, since March.
retrieve:
  - {kind: bm25, depth: 50}  # words are enough here
tiers:
  - {kind: cross_encoder, depth: 30, blend: {weight: 0.1}}  # reads well
  - {kind: identity, name: last, depth: 5}
budget_ms: 400  # agreed with the shop
"""
UNTIL = {"stable_top": 3, "confidence": 0.9, "evidence": {"collection": "nq-qed", "queries": 60}}


def test_settings_are_added_and_comments_and_all_else_are_kept() -> None:
    changed = with_settings(TEXT, "c.yaml", "cross_encoder", {"depth": 40, "until": UNTIL})
    for comment in ("# Ours, since March.", "# words are enough here", "# reads well", "# agreed with the shop"):
        assert comment in changed
    before, after = parse(TEXT, "before"), parse(changed, "after")
    tier = after.tiers[0]
    assert isinstance(tier, CrossEncoderConfig)
    assert tier.until is not None
    assert (tier.depth, tier.until.stable_top, tier.until.evidence["queries"]) == (40, 3, 60)
    assert after.model_copy(update={"tiers": before.tiers}) == before
    assert after.tiers[1] == before.tiers[1]


def test_a_setting_is_replaced_and_taken_out_again() -> None:
    once = with_settings(TEXT, "c.yaml", "cross_encoder", {"until": UNTIL})
    again = with_settings(once, "c.yaml", "cross_encoder", {"until": {"stable_top": 5}})
    tier = parse(again, "again").tiers[0]
    assert isinstance(tier, CrossEncoderConfig)
    assert tier.until is not None
    assert tier.until.stable_top == 5
    assert parse(with_settings(again, "c.yaml", "cross_encoder", {"until": None}), "out") == parse(TEXT, "before")


def test_lists_of_numbers_take_no_line_each() -> None:
    points = {"method": "isotonic", "x": (0.5, 1.5), "y": (0.1, 0.9)}
    assert "x: [0.5, 1.5]" in with_settings(TEXT, "c.yaml", "cross_encoder", {"calibration": points})


def test_the_presets_can_be_changed() -> None:
    for name in presets.load_all():
        changed = with_settings(presets.text(name), name, "cross_encoder", {"until": UNTIL})
        assert len(parse(changed, name).tiers) == len(presets.load_all()[name].tiers)


def test_what_would_be_no_cascade_is_refused() -> None:
    with pytest.raises(ConfigError, match="confidence"):
        with_settings(TEXT, "c.yaml", "cross_encoder", {"until": {"confidence": 2}})
    with pytest.raises(NotFoundError, match="listwise"):
        with_settings(TEXT, "c.yaml", "listwise", {})


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    write(path, TEXT)
    assert load(path) == parse(TEXT, "text")
    with pytest.raises(ConfigError):
        write(path, "retrieve: []")
    assert path.read_text() == TEXT
    assert [p.name for p in tmp_path.iterdir()] == ["c.yaml"]
    with pytest.raises(ConfigError, match="cannot be written"):
        write(tmp_path / "no" / "c.yaml", TEXT)
