"""The records that the package ships are those of the weights that it ships."""

from __future__ import annotations

import pytest

from cascade.evaluate.quantize import kind_of, model_of
from cascade.inference.towers.records import read, shipped_file
from cascade.weights.resolver import EMBEDDED

NAMES = [name for name in sorted(EMBEDDED) if shipped_file(name).is_file()]


def test_every_file_is_of_an_embedded_model() -> None:
    files = list(shipped_file("any").parent.glob("*.json"))
    assert files
    assert sorted(path.stem for path in files) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_record_is_of_todays_weights_on_two_collections(name: str) -> None:
    reference = f"embedded:{name}"
    model = model_of(kind_of(reference), reference, "torch-fp32", 1)
    model.ensure_loaded()
    records = read(shipped_file(name))
    assert records
    for record in records:
        assert record.weights == model.weights, f"run cascade quantize embedded:{name} --save-beside"
        assert len(record.collections) >= 2
