"""Both ways to run a language model's layers: what is packed, held or not wanted changes the cost and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from cascade.rerank.listwise.attention import attend
from cascade.rerank.listwise.decoder import ATTENTION, Decoder, LibraryDecoder, decoder_of, dtype_of
from cascade.rerank.listwise.llama import LlamaDecoder
from cascade.rerank.listwise.memory import Memory
from cascade.rerank.listwise.native_llama import NativeLlama
from cascade.rerank.listwise.span import Span

TEXTS = [[5, 6, 7], [8], list(range(9, 160)), [5, 6, 7]]


@pytest.fixture(scope="module", params=["own", "library"])
def decoder(request: pytest.FixtureRequest, tiny_lm: Path) -> Decoder:
    from transformers import AutoModel

    stack: Any = AutoModel.from_pretrained(tiny_lm, attn_implementation=ATTENTION, dtype=torch.float32)
    found = decoder_of(stack)
    assert isinstance(found, LlamaDecoder)
    return found if request.param == "own" else LibraryDecoder(stack)


@pytest.fixture(scope="module")
def plain(tiny_lm: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(tiny_lm, attn_implementation="eager", dtype=torch.float32)


def states_of(plain: Any, ids: list[int]) -> Tensor:
    with torch.inference_mode():
        states: Tensor = plain(input_ids=torch.tensor([ids])).last_hidden_state[0]
    return states


def read(decoder: Decoder, *spans: Span) -> list[Tensor]:
    with torch.inference_mode():
        return decoder.read(spans)


def close(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and torch.allclose(found, expected, atol=1e-4)


def test_packed_states_equal_those_of_one_sequence_at_a_time(decoder: Decoder, plain: Any) -> None:
    found = read(decoder, *(Span(ids, range(len(ids))) for ids in TEXTS))
    assert all(close(one, states_of(plain, ids)) for one, ids in zip(found, TEXTS, strict=True))


def test_only_what_is_wanted_is_given(decoder: Decoder, plain: Any) -> None:
    wanted = [(0, 2), (), (3, 90, 150), (1,)]
    found = read(decoder, *(Span(ids, places) for ids, places in zip(TEXTS, wanted, strict=True)))
    for one, ids, places in zip(found, TEXTS, wanted, strict=True):
        assert close(one, states_of(plain, ids)[list(places)])


def test_what_is_held_need_not_be_read_again(decoder: Decoder, plain: Any) -> None:
    whole, memory = TEXTS[2], Memory()
    read(decoder, Span(whole[:20], (), keep=memory), Span(TEXTS[0], (0,)))
    read(decoder, Span(whole[20:21], (0,), memory, 20, memory))
    (found,) = read(decoder, Span(whole[21:], range(len(whole) - 21), memory, 21, memory))
    assert close(found, states_of(plain, whole)[21:])
    assert memory.ids == whole


def test_several_spans_go_on_from_a_part_of_one_memory(decoder: Decoder, plain: Any) -> None:
    memory = Memory()
    read(decoder, Span(TEXTS[2], (), keep=memory))
    ends = [[200, 201], [202]]
    kept = Memory()
    first, second = read(
        decoder, Span(ends[0], (0, 1), memory, 30, kept), Span(ends[1], (0,), memory, 7), Span(TEXTS[0], ())
    )[:2]
    assert close(first, states_of(plain, TEXTS[2][:30] + ends[0])[30:])
    assert close(second, states_of(plain, TEXTS[2][:7] + ends[1])[7:])
    assert memory.ids == TEXTS[2], "it is not changed by those who go on from it"
    (third,) = read(decoder, Span([203], (0,), kept, 32, kept))
    assert close(third, states_of(plain, [*TEXTS[2][:30], *ends[0], 203])[32:])


def test_a_front_is_a_memory_of_its_own(decoder: Decoder, plain: Any) -> None:
    memory = Memory()
    read(decoder, Span(TEXTS[2], (), keep=memory))
    front = memory.front(10)
    assert 0 < front.bytes < memory.bytes
    assert [front.shared(ids) for ids in (TEXTS[2], TEXTS[2][:5], [1, 2], [*TEXTS[2][:4], 0, 0])] == [10, 4, 0, 4]
    (found,) = read(decoder, Span([200], (0,), front, 10))
    assert close(found, states_of(plain, [*TEXTS[2][:10], 200])[10:])


def test_tokens_that_stand_behind_what_is_held_are_not_seen(decoder: Decoder) -> None:
    found = []
    for last in (200, 201):
        memory = Memory()
        read(decoder, Span([*TEXTS[2], last], (), keep=memory))
        found.append(read(decoder, Span([5, 6], (0, 1), memory, 40))[0])
    assert torch.equal(*found)


@pytest.fixture(scope="module", params=["torch-bf16", "native-int8"])
def rounded(request: pytest.FixtureRequest, tiny_lm: Path) -> Decoder:
    from transformers import AutoModel

    dtype = dtype_of(request.param, "cpu")
    stack: Any = AutoModel.from_pretrained(tiny_lm, attn_implementation=ATTENTION, dtype=dtype)
    found = decoder_of(stack, request.param, threads=2)
    assert isinstance(found, NativeLlama)
    assert found.backend == request.param
    return found


def test_what_is_rounded_says_nearly_the_same(rounded: Decoder, plain: Any) -> None:
    long = [i % 200 + 5 for i in range(400)]  # long enough for two threads
    for ids in (*TEXTS, long):
        (found,) = read(rounded, Span(ids, range(len(ids))))
        assert torch.cosine_similarity(found.float(), states_of(plain, ids), dim=1).min() > 0.99


def test_what_is_rounded_goes_on_from_a_memory_and_gives_only_what_is_wanted(rounded: Decoder) -> None:
    whole, memory = TEXTS[2], Memory()
    (expected,) = read(rounded, Span(whole, range(len(whole))))
    read(rounded, Span(whole[:20], (), keep=memory), Span(TEXTS[0], (0,)))
    (found,) = read(rounded, Span(whole[20:], (0, 3, 130), memory, 20))
    assert torch.allclose(found.float(), expected[[20, 23, 150]].float(), atol=0.1)


def test_what_is_rounded_is_not_mixed(rounded: Decoder) -> None:
    found = [read(rounded, Span(TEXTS[2], (150,)), Span(ids, (0,)))[0] for ids in ([5, 6, 7], [8, 9, 10])]
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("backend", "message"),
    [("openvino-int8", "no language model runs on openvino-int8"), ("onnx-int8", "expected auto")],
)
def test_what_runs_no_language_model_is_told(backend: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dtype_of(backend, "cpu")


def test_layers_that_are_not_llamas_are_not_rounded() -> None:
    from transformers import MistralConfig, MistralModel

    config = MistralConfig(
        vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4
    )
    with pytest.raises(ValueError, match="found MistralModel"):
        decoder_of(MistralModel(config), "native-int8")


def test_a_sliding_window_that_is_too_short_is_told(tiny_lm: Path) -> None:
    from transformers import MistralConfig, MistralModel

    config = MistralConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=16,
    )
    decoder = decoder_of(_packed(MistralModel(config)))
    assert isinstance(decoder, LibraryDecoder)
    read(decoder, Span(list(range(16)), (0,)))
    with pytest.raises(ValueError, match="17 tokens for a model that sees 16"):
        read(decoder, Span(list(range(17)), (0,)))


def test_attention_that_is_more_than_softmax_is_refused() -> None:
    from transformers import Gemma2Config, Gemma2Model

    config = Gemma2Config(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    with pytest.raises(ValueError, match="found attention with softcap"):
        read(decoder_of(_packed(Gemma2Model(config))), Span([5, 6, 7], (2,)))


def _packed(stack: Any) -> Any:
    """The stack as `load_causal` gives it."""
    stack.set_attn_implementation(ATTENTION)
    return stack.eval()


@given(st.data())
def test_attention_is_that_of_the_library(data: st.DataObject) -> None:
    groups, each, size = (data.draw(st.integers(1, 3)) for _ in range(3))
    length = data.draw(st.integers(1, 200))
    places = sorted(data.draw(st.sets(st.integers(0, length - 1), min_size=1)))
    torch.manual_seed(length)
    query = torch.randn(groups * each, len(places), 2 * size)
    key, value = (torch.randn(groups, length, 2 * size) for _ in range(2))
    seen = torch.arange(length) <= torch.tensor(places).unsqueeze(1)
    one, keys, values = (part.unsqueeze(0) for part in (query, key, value))
    expected = scaled_dot_product_attention(one, keys, values, attn_mask=seen, scale=0.3, enable_gqa=True)[0]
    assert torch.allclose(attend(query, key, value, torch.tensor(places), 0.3), expected, atol=1e-5)
