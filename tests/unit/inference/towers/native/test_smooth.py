"""Channels that are large in every token cost less when they are smoothed before rounding."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from cascade.inference.towers.backbone import BertBackbone
from cascade.inference.towers.bert_weights import BertWeights, bert_weights
from cascade.inference.towers.native.smooth import smooths
from cascade.inference.towers.native.tower import NativeTower
from cascade.inference.towers.strip import Strip, Tokens
from cascade.inference.towers.torch_tower import TorchTower

_SIZES: dict[str, Any] = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96, "num_hidden_layers": 2}


@pytest.fixture(scope="module")
def outlying() -> BertWeights:
    """A model with one channel that its LayerNorms make fifty times as large as others, and its weights as small."""
    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=60, initializer_range=0.2, **_SIZES))
    for name, parameter in model.named_parameters():
        if name.endswith("LayerNorm.weight"):
            parameter.data[7] = 50.0
        elif parameter.ndim == 2 and ".layer." in name and parameter.shape[1] == _SIZES["hidden_size"]:
            parameter.data[:, 7] /= 50.0
    weights = bert_weights(model)
    assert weights is not None
    return weights


def _strip(seed: int) -> Strip:
    rng = np.random.default_rng(seed)
    return Strip.of([Tokens.single(rng.integers(0, 60, size=length).tolist()) for length in (5, 30, 12, 40)])


def test_rounding_costs_less_after_smoothing(outlying: BertWeights) -> None:
    asked = _strip(1)
    exact = TorchTower(BertBackbone(outlying, 0)).states(asked)
    plain, smoothed = (
        NativeTower(outlying, threads=1, strips=strips).states(asked) for strips in ([], [_strip(2), _strip(3)])
    )
    assert np.abs(smoothed - exact).mean() < 0.7 * np.abs(plain - exact).mean()


def test_the_large_channel_is_made_smaller_and_nothing_else_is_changed_as_a_whole(outlying: BertWeights) -> None:
    for smooth in smooths(outlying, [_strip(2)]):
        for share in (smooth.read, smooth.up):
            assert share.argmin() == 7
            assert np.exp(np.log(share).mean()) == pytest.approx(1.0, rel=1e-4)


def test_without_texts_nothing_is_smoothed(outlying: BertWeights) -> None:
    for smooth in smooths(outlying, []):
        assert (smooth.read == 1).all()
        assert (smooth.up == 1).all()


def test_smoothed_states_are_the_same_bits_in_any_company(outlying: BertWeights) -> None:
    tower, asked = NativeTower(outlying, threads=2, strips=[_strip(2)]), _strip(1)
    states = tower.states(asked)
    for start, end in zip(asked.starts[:-1], asked.starts[1:], strict=True):
        alone = tower.states(Strip.of([Tokens.single(asked.ids[start:end].tolist())]))
        assert np.array_equal(alone, states[start:end])
