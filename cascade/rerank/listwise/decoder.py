"""The layers of a causal language model, run over packed spans: one interface, two ways to run them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from cascade.inference.device import pick_dtype
from cascade.rerank.listwise.llama import LlamaDecoder
from cascade.rerank.listwise.span import Pass, Span

ATTENTION = "cascade_packed"


class Decoder(Protocol):
    """Reads spans together without mixing them; called by one thread at a time."""

    def read(self, spans: Sequence[Span]) -> list[Tensor]:
        """Of each span the last layer's states [wanted, hidden_size], as its model's head would read them."""
        ...


class LibraryDecoder:
    """Any decoder stack of the transformers library, loaded with `attn_implementation=ATTENTION`."""

    def __init__(self, stack: Any) -> None:
        self._stack = stack

    def read(self, spans: Sequence[Span]) -> list[Tensor]:
        """Of each span the last layer's states [wanted, hidden_size], as its model's head would read them."""
        whole = Pass(spans, next(self._stack.parameters()).device)
        states = self._stack(
            input_ids=whole.ids.unsqueeze(0),
            position_ids=whole.positions.unsqueeze(0),
            use_cache=False,
            spans=whole,
        ).last_hidden_state
        whole.remember()
        return list(states[0, whole.wanted].split([len(one.wanted) for one in spans]))


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    spans: Pass | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each of the spans; without `spans` there is one sequence, read from its start."""
    if spans is None:
        found, _ = sdpa_attention_forward(module, query, key, value, None, **options)
        return found, None
    window = options.get("sliding_window")
    if window is not None and (most := max(one.held + len(one.ids) for one in spans.spans)) > window:
        raise ValueError(f"found a text of {most} tokens for a model that sees {window} at a time; use shorter lists")
    scale = options.get("scaling") or query.shape[-1] ** -0.5
    states = spans.attend(int(module.layer_idx), query[0], key[0], value[0], scale)
    return states.transpose(0, 1).unsqueeze(0), None


AttentionInterface.register(ATTENTION, packed_attention)


def load_causal(source: str, device: str) -> Any:
    """The causal language model in the folder or hub id `source`, ready for `decoder_of` on `device`."""
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(source, dtype=pick_dtype(device), attn_implementation=ATTENTION)
    return loaded.to(device).eval()


def decoder_of(stack: Any) -> Decoder:
    """The fastest there is for this stack, which shares its weights and stays as it was."""
    return LlamaDecoder(stack) if LlamaDecoder.runs(stack) else LibraryDecoder(stack)


def read_one(decoder: Decoder, ids: Sequence[int]) -> Tensor:
    """All states [length, hidden_size] of one sequence."""
    with torch.inference_mode():
        return decoder.read([Span(ids, range(len(ids)))])[0]
