"""What a few channels hold is shared by many, and a map reads it as if it were not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaModel

from cascade.rerank.listwise import llama_kernels as kernels
from cascade.rerank.listwise.decoder import ATTENTION, LibraryDecoder
from cascade.rerank.listwise.native_llama import NativeLlama
from cascade.rerank.listwise.span import Span
from cascade.rerank.listwise.spread import run_of, spread

IDS = [i % 200 + 5 for i in range(150)]


@pytest.mark.parametrize(("width", "run"), [(576, 9), (1536, 24), (64, 1), (32, 1), (48, 3), (7, 7)])
def test_a_power_of_two_of_channels_share(width: int, run: int) -> None:
    assert run_of(width) == run


@pytest.mark.parametrize("width", [576, 48, 7])
def test_spread_twice_is_not_at_all(width: int) -> None:
    rows = np.random.default_rng(0).standard_normal((3, width)).astype(np.float32)
    twice = rows.copy()
    kernels.spread(twice, run_of(width))
    lengths = np.linalg.norm(twice, axis=1)
    kernels.spread(twice, run_of(width))
    assert twice == pytest.approx(rows, abs=1e-5)
    assert lengths == pytest.approx(np.linalg.norm(rows, axis=1), rel=1e-5)


def test_one_channel_is_held_by_all_at_its_distance() -> None:
    rows = np.zeros((1, 576), dtype=np.float32)
    rows[0, 100] = 8.0
    kernels.spread(rows, 9)
    (held,) = np.nonzero(rows[0])
    assert held.tolist() == [k for k in range(576) if k % 9 == 100 % 9]
    assert np.abs(rows[0, held]) == pytest.approx(1.0)


def test_a_spread_map_gives_of_spread_inputs_what_it_gave() -> None:
    torch.manual_seed(0)
    weight, given = torch.randn(5, 48, dtype=torch.bfloat16), torch.randn(4, 48)
    before, expected = weight.clone(), given @ weight.float().t()
    found = spread(weight)
    kernels.spread(given.numpy(), run_of(48))
    assert torch.allclose(given @ found.t(), expected, atol=1e-4)
    assert torch.equal(weight, before)


def test_eight_bits_keep_what_stands_beside_a_channel_that_stands_out() -> None:
    torch.manual_seed(0)
    size = 256
    shape = {"vocab_size": 400, "hidden_size": size, "intermediate_size": 2 * size, "num_hidden_layers": 1}
    stack = LlamaModel(LlamaConfig(num_attention_heads=4, num_key_value_heads=2, initializer_range=0.05, **shape))
    mlp = stack.layers[0].mlp
    with torch.no_grad():
        mlp.up_proj.weight[7] *= 100  # what goes down has a huge channel, of which little is read
        mlp.down_proj.weight[:, 7] /= 100
    stack.set_attn_implementation(ATTENTION)
    span = Span(IDS, range(len(IDS)))
    with torch.inference_mode():
        (expected,) = LibraryDecoder(stack).read([span])
        (found,) = NativeLlama(stack, threads=1, eight_bits=True).read([span])
    assert (found - expected).norm() < 0.12 * expected.norm()
