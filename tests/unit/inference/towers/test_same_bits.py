"""A sequence's states are the same bits whatever it was asked with."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.inference.towers.backbone import Backbone, backbone_of
from cascade.inference.towers.same_bits import SameBits
from cascade.inference.towers.strip import Strip
from cascade.inference.towers.torch_tower import TorchBackend, TorchTower
from tests.unit.inference.towers.conftest import VOCABULARY, sequence

_LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def wide_backbone() -> Backbone:
    """One layer as wide as all-MiniLM's, whose multiplications are done in blocks."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536}
    return backbone_of(BertModel(BertConfig(vocab_size=VOCABULARY, num_hidden_layers=1, **shape)))


@pytest.mark.parametrize("backend", ["torch-fp32", "torch-bf16"])
@settings(max_examples=15)
@given(lengths=_LENGTHS, company=_LENGTHS, place=st.integers(0, 6))
def test_states_do_not_depend_on_company(
    wide_backbone: Backbone, backend: TorchBackend, lengths: list[int], company: list[int], place: int
) -> None:
    tower = SameBits(TorchTower(wide_backbone, backend))
    others = [sequence(length, seed=1) for length in company]
    for length in lengths:
        asked = sequence(length)
        alone = tower.states(Strip.of([asked]))
        at = min(place, len(others))
        mixed = Strip.of([*others[:at], asked, *others[at:]])
        start, end = list(pairwise(mixed.starts))[at]
        assert np.array_equal(tower.states(mixed)[start:end], alone)


def test_it_says_so_and_keeps_the_name_of_the_backend(tiny_backbone: Backbone) -> None:
    inner = TorchTower(tiny_backbone)
    tower = SameBits(inner)
    assert (tower.backend, tower.same_bits, inner.same_bits) == ("torch-fp32", True, False)


def test_its_states_are_those_of_the_tower_inside(tiny_backbone: Backbone) -> None:
    inner, asked = TorchTower(tiny_backbone), Strip.of([sequence(length) for length in (3, 9, 1, 17)])
    np.testing.assert_allclose(SameBits(inner).states(asked), inner.states(asked), atol=1e-5)
