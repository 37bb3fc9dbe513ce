"""A torch tower gives a backbone's states, in each of its number formats."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel

from cascade.inference.towers.backbone import Backbone, BertBackbone, backbone_of
from cascade.inference.towers.bert_weights import bert_weights
from cascade.inference.towers.strip import Strip, Tokens
from cascade.inference.towers.torch_tower import TorchBackend, TorchTower

_SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
_MARKERS: dict[str, Any] = dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 3)


def _pair(rng: np.random.Generator, first: int, second: int) -> Tokens:
    length = first + second
    return Tokens(
        rng.integers(5, 60, size=length),
        np.concatenate([np.arange(first), np.arange(second)]),
        np.zeros(length, dtype=np.int64),
        np.repeat([0, 1], [first, second]),
    )


@pytest.fixture(scope="module")
def gated() -> Backbone:
    torch.manual_seed(0)
    weights = bert_weights(BertModel(BertConfig(**_SIZES, initializer_range=0.2)), torch.randn(2, 4))
    assert weights is not None
    return BertBackbone(weights, 0)


@pytest.fixture(scope="module")
def other() -> Backbone:
    torch.manual_seed(0)
    return backbone_of(ModernBertModel(ModernBertConfig(**_SIZES, **_MARKERS)))


@pytest.fixture
def sequences() -> list[Tokens]:
    rng = np.random.default_rng(0)
    return [_pair(rng, int(a), int(b)) for a, b in rng.integers(1, 20, size=(12, 2))]


def _alone(backbone: Backbone, one: Tokens) -> torch.Tensor:
    with torch.inference_mode():
        given = (torch.from_numpy(values)[None] for values in (one.ids, one.positions, one.types, one.parts))
        states: torch.Tensor = backbone(*given)[0]
    return states


@pytest.mark.parametrize("name", ["torch-fp32", "torch-bf16"])
def test_states_of_first_tokens_are_the_same_where_they_are_asked_for_alone(
    gated: Backbone, other: Backbone, sequences: list[Tokens], name: TorchBackend
) -> None:
    strip = Strip.of(sequences)
    for backbone in (gated, other):
        tower = TorchTower(backbone, name)
        alone = tower.states(replace(strip, only_first=True))
        np.testing.assert_allclose(alone, tower.states(strip)[strip.starts[:-1]], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "near"), [("torch-fp32", 1e-5), ("torch-bf16", 0.08)])
def test_states_are_those_of_each_sequence_read_alone(
    gated: Backbone, sequences: list[Tokens], name: TorchBackend, near: float
) -> None:
    strip = Strip.of(sequences)
    found = TorchTower(gated, name).states(strip)
    assert found.dtype == np.float32
    expected = torch.cat([_alone(gated, one) for one in sequences]).numpy()
    assert np.abs(found - expected).max() < near
    assert np.abs(found - expected).mean() < near / 10


def test_an_encoder_that_is_not_like_bert_reads_padded_batches(other: Backbone, sequences: list[Tokens]) -> None:
    singles = [Tokens.single(one.ids.tolist()) for one in sequences]
    found = TorchTower(other).states(Strip.of(singles))
    expected = torch.cat([_alone(other, one) for one in singles]).numpy()
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_a_compiled_tower_gives_the_same_states(gated: Backbone, sequences: list[Tokens]) -> None:
    capture_only = partial(torch.compile, dynamic=True, backend="eager")  # machine code takes half a minute
    found = TorchTower(gated, "torch-compiled", compiler=capture_only).states(Strip.of(sequences))
    expected = torch.cat([_alone(gated, one) for one in sequences]).numpy()
    assert np.abs(found - expected).mean() < 0.008
