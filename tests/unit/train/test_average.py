"""Averages of models trained from one start."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cascade.errors import InvalidInputError
from cascade.inference.pair_encoder import PairEncoder, as_cross_encoder
from cascade.train.average import START, average


@pytest.fixture
def trained(tiny_bert: Path, tmp_path: Path) -> Path:
    module = PairEncoder.graft(str(tiny_bert))
    with torch.no_grad():
        module.gate.add_(1.0)
    as_cross_encoder(module).save_pretrained(str(tmp_path / "trained"), create_model_card=False)
    return tmp_path / "trained"


def test_an_average_lies_between_the_start_and_the_trained_model(
    trained: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    out = average({START: 0.75, str(trained): 0.25}, str(tiny_bert), tmp_path / "averaged")
    start = PairEncoder.graft(str(tiny_bert))
    assert torch.allclose(PairEncoder.load(str(out)).gate, start.gate + 0.25)


def test_weights_that_do_not_add_up_are_refused(trained: Path, tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"add up to 0\.9"):
        average({START: 0.4, str(trained): 0.5}, str(tiny_bert), tmp_path / "averaged")


def test_models_of_different_depths_are_refused(trained: Path, tiny_bert: Path, tmp_path: Path) -> None:
    small = as_cross_encoder(PairEncoder.load(str(trained)).kept([0]))
    small.save_pretrained(str(tmp_path / "small"), create_model_card=False)
    with pytest.raises(InvalidInputError, match="models of one shape"):
        average({str(trained): 0.5, str(tmp_path / "small"): 0.5}, str(tiny_bert), tmp_path / "averaged")
