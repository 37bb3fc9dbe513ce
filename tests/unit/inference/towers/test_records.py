"""Records of what a backend costs are found for exactly their weights, and a broken file costs nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from structlog.testing import capture_logs

from cascade.inference.towers import records
from cascade.inference.towers.backbone import Backbone
from cascade.inference.towers.records import FILE, Measured, Record, cached_file, find, fingerprint, read, write

MEASURED = Measured("tea", "test", 50, 100, 0.5, 0.499, 0.001, -0.001, 0.003, 0.4, 0.98, 2.5)
RECORD = Record("abc", "native-int8", "torch 2", "a processor", 2, (MEASURED,))


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write(RECORD, tmp_path / FILE)
    assert read(tmp_path / FILE) == (RECORD,)


def test_a_record_takes_the_place_of_that_of_the_same_weights_and_backend_alone(tmp_path: Path) -> None:
    other, again = replace(RECORD, backend="onnx-int8"), replace(RECORD, threads=8)
    for one in (RECORD, other, again):
        write(one, tmp_path / FILE)
    assert set(read(tmp_path / FILE)) == {other, again}


def test_a_record_keeps_what_was_measured_alike_on_other_collections(tmp_path: Path) -> None:
    again, other = replace(MEASURED, loss=0.5), replace(MEASURED, collection="rain")
    for measured in (MEASURED, other, again):
        write(replace(RECORD, collections=(measured,)), tmp_path / FILE)
    (found,) = read(tmp_path / FILE)
    assert found.collections == (again, other)
    write(replace(RECORD, runtime="another"), tmp_path / FILE)
    assert read(tmp_path / FILE) == (replace(RECORD, runtime="another"),)


def test_a_models_own_record_comes_before_that_of_the_cache(own_cache: Path, tmp_path: Path) -> None:
    write(replace(RECORD, threads=1), cached_file("abc"))
    assert find("abc", "native-int8", tmp_path) == replace(RECORD, threads=1)
    write(RECORD, tmp_path / FILE)
    assert find("abc", "native-int8", tmp_path) == RECORD


def test_other_weights_and_other_backends_have_no_record(own_cache: Path) -> None:
    write(RECORD, cached_file("abc"))
    assert find("abd", "native-int8") is None
    assert find("abc", "onnx-int8") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"records": 3}', '{"records": [{"weights": "abc"}]}', '{"records": [1]}']
)
def test_a_file_that_is_no_record_is_told_of_and_passed_over(own_cache: Path, tmp_path: Path, text: str) -> None:
    write(RECORD, cached_file("abc"))
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with capture_logs() as told:
        assert find("abc", "native-int8", tmp_path) == RECORD
    assert [one["event"] for one in told] == ["backend_records_unreadable"]


def test_nothing_is_written_over_a_file_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("notes", encoding="utf-8")
    with pytest.raises(ValueError, match="found no records"):
        write(RECORD, tmp_path / FILE)
    assert (tmp_path / FILE).read_text(encoding="utf-8") == "notes"


def test_a_loss_counts_on_every_collection() -> None:
    assert RECORD.acceptable
    assert not replace(RECORD, collections=(MEASURED, replace(MEASURED, loss=0.0021))).acceptable
    assert not replace(RECORD, collections=()).acceptable


def test_a_fingerprint_changes_with_one_weight_and_comes_back_with_it(tiny_backbone: Backbone) -> None:
    before = fingerprint(tiny_backbone)
    weight = next(iter(tiny_backbone.parameters())).data
    kept = weight[0, 0].clone()
    weight[0, 0] += 1e-3
    assert fingerprint(tiny_backbone) != before
    weight[0, 0] = kept
    assert fingerprint(tiny_backbone) == before


def test_a_fingerprint_does_not_ask_what_a_weight_is_called() -> None:
    first, second = (torch.nn.Module() for _ in range(2))
    first.left, second.right = (torch.nn.Parameter(torch.arange(6.0)) for _ in range(2))
    assert fingerprint(first) == fingerprint(second)


def test_a_fingerprint_in_one_number_format_does_not_ask_how_weights_were_loaded() -> None:
    exact = torch.nn.Linear(4, 2)
    rounded = torch.nn.Linear(4, 2, dtype=torch.bfloat16)
    rounded.load_state_dict(exact.state_dict())
    assert fingerprint(exact) != fingerprint(rounded)
    assert fingerprint(exact, dtype=torch.bfloat16) == fingerprint(rounded, dtype=torch.bfloat16)


def test_the_same_weights_are_others_for_another_kind_of_model(tiny_backbone: Backbone) -> None:
    assert fingerprint(tiny_backbone, "bi_encoder") != fingerprint(tiny_backbone, "multi_vector")


def test_what_the_package_ships_can_be_read() -> None:
    for path in records.shipped_file("any").parent.glob("*.json"):
        assert read(path)
