"""The native tower gives nearly the states of float32, and the same bits in any company."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertModel

from cascade.inference.towers.backbone import BertBackbone
from cascade.inference.towers.bert_weights import BertWeights, bert_weights
from cascade.inference.towers.native.tower import NativeTower
from cascade.inference.towers.strip import Strip, Tokens
from cascade.inference.towers.torch_tower import TorchTower

_VOCABULARY = 60


def _weights(gate: torch.Tensor | None = None, **sizes: Any) -> BertWeights:
    torch.manual_seed(0)
    usual: dict[str, Any] = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96, "hidden_act": "gelu"}
    config = BertConfig(
        vocab_size=_VOCABULARY,
        num_hidden_layers=2,
        max_position_embeddings=160,
        initializer_range=0.2,
        **(usual | sizes),
    )
    found = bert_weights(BertModel(config), gate)
    assert found is not None
    return found


def _sequences(lengths: list[tuple[int, int]]) -> list[Tokens]:
    rng = np.random.default_rng(0)
    return [
        Tokens(
            rng.integers(0, _VOCABULARY, size=a + b),
            np.concatenate([np.arange(a), np.arange(b)]),
            rng.integers(0, 2, size=a + b),
            np.repeat([0, 1], [a, b]),
        )
        for a, b in lengths
    ]


@pytest.fixture(scope="module")
def gated() -> NativeTower:
    return NativeTower(_weights(torch.randn(2, 4)), threads=2)


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"hidden_act": "gelu_new"},
        {"hidden_act": "relu"},
        {"hidden_size": 64, "num_attention_heads": 2},  # heads as wide as a tile
        {"hidden_size": 80, "num_attention_heads": 2},  # wider, and no multiple of one
        {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 50},
    ],
)
def test_states_are_those_of_float32_but_for_rounding(sizes: dict[str, Any]) -> None:
    weights = _weights(torch.randn(2, sizes.get("num_attention_heads", 4)), **sizes)
    strip = Strip.of(_sequences([(3, 20), (1, 1), (5, 60), (8, 90), (2, 31)]))

    exact = TorchTower(BertBackbone(weights, 0), "torch-fp32", device="cpu").states(strip)
    found = NativeTower(weights, threads=2).states(strip)

    cosines = (exact * found).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(found, axis=1)
    assert cosines.min() > 0.995


def test_without_a_gate_all_tokens_attend_alike() -> None:
    strip = Strip.of(_sequences([(4, 30)]))
    together = Strip(strip.ids, strip.positions, strip.types, np.zeros_like(strip.parts), strip.starts)

    tower = NativeTower(_weights(), threads=1)

    np.testing.assert_array_equal(tower.states(strip), tower.states(together))


def test_the_gate_acts_between_parts_only() -> None:
    strip = Strip.of(_sequences([(4, 30)]))
    together = Strip(strip.ids, strip.positions, strip.types, np.zeros_like(strip.parts), strip.starts)
    closed = NativeTower(_weights(torch.full((2, 4), -1e4)), threads=1)
    query = Strip.of([Tokens(strip.ids[:4], strip.positions[:4], strip.types[:4], strip.parts[:4])])

    np.testing.assert_array_equal(closed.states(strip)[:4], closed.states(query))
    assert not np.array_equal(closed.states(strip), closed.states(together))


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 60)), min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_a_sequence_has_the_same_bits_in_any_company(
    gated: NativeTower, lengths: list[tuple[int, int]], order: Any
) -> None:
    sequences = _sequences(lengths)
    alone = [gated.states(Strip.of([one])) for one in sequences]
    places = list(range(len(sequences)))
    order.shuffle(places)

    strip = Strip.of([sequences[place] for place in places])
    together = np.split(gated.states(strip), strip.starts[1:-1])

    for place, states in zip(places, together, strict=True):
        np.testing.assert_array_equal(states, alone[place])


def test_a_weight_that_is_no_number_is_seen_in_the_states() -> None:
    weights = _weights()
    weights.layers[0].up.weight[3, 5] = float("nan")

    states = NativeTower(weights, threads=1).states(Strip.of(_sequences([(2, 5)])))

    assert not np.isfinite(states).all()


def test_weights_of_zero_are_multiplied_too() -> None:
    weights = _weights()
    weights.layers[1].down.weight[:] = 0.0

    states = NativeTower(weights, threads=1).states(Strip.of(_sequences([(2, 5)])))

    assert np.isfinite(states).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_states_of_first_tokens_are_the_same_where_they_are_asked_for_alone(threads: int) -> None:
    tower = NativeTower(_weights(torch.randn(2, 4)), threads=threads)
    strip = Strip.of(_sequences([(3, 20), (1, 1), (5, 60), (8, 90), (2, 31)]))

    alone = tower.states(replace(strip, only_first=True))

    np.testing.assert_array_equal(alone, tower.states(strip)[strip.starts[:-1]])


def test_a_weight_of_a_query_that_is_no_number_is_seen_too() -> None:
    weights = _weights()
    weights.layers[0].query.weight[3, 5] = float("nan")

    states = NativeTower(weights, threads=1).states(Strip.of(_sequences([(2, 5)])))

    assert not np.isfinite(states).all()
