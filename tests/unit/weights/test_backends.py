"""The records that the package ships are those of the weights that it ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.inference.towers.backbone import Backbone, backbone_of, backbone_of_pairs
from cascade.inference.towers.records import fingerprint, read, shipped_file
from cascade.weights import resolve_model
from cascade.weights.resolver import EMBEDDED

NAMES = [name for name in sorted(EMBEDDED) if shipped_file(name).is_file()]


def backbone(folder: Path) -> Backbone:
    """The layers of an embedded model."""
    if (folder / "pair_encoder.json").is_file():
        from cascade.inference.pair_encoder import PairEncoder

        return backbone_of_pairs(PairEncoder.load(str(folder)))
    from transformers import AutoModel

    return backbone_of(AutoModel.from_pretrained(folder, add_pooling_layer=False))


def test_every_file_is_of_an_embedded_model() -> None:
    files = list(shipped_file("any").parent.glob("*.json"))
    assert files
    assert [path.stem for path in sorted(files)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_record_is_of_todays_weights_on_two_collections(name: str) -> None:
    weights = fingerprint(backbone(Path(resolve_model(f"embedded:{name}"))))
    records = read(shipped_file(name))
    assert records
    for record in records:
        assert record.weights == weights, f"run cascade quantize embedded:{name} --save-beside"
        assert len(record.collections) >= 2
