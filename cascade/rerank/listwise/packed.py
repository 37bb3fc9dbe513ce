"""Several sequences in one forward pass without padding: attention runs sequence by sequence, the rest at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from cascade.inference.device import pick_dtype

ATTENTION = "cascade_packed"


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed_lengths: tuple[int, ...] | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each of the consecutive sequences of `packed_lengths`; none between them.

    A block-diagonal mask says the same, but the kernel would still compute what the mask then hides. Without
    `packed_lengths` there is one sequence: all of it, or its next token after what a cache holds.
    """
    if packed_lengths is None:
        if 1 < query.shape[2] < key.shape[2]:
            raise ValueError(f"found {query.shape[2]} tokens after a cache, expected one at a time")
        return sdpa_attention_forward(module, query, key, value, None, **options)
    parts = zip(*(torch.split(states, list(packed_lengths), dim=2) for states in (query, key, value)), strict=True)
    outputs = [sdpa_attention_forward(module, q, k, v, None, **options)[0] for q, k, v in parts]
    return torch.cat(outputs, dim=1), None


AttentionInterface.register(ATTENTION, packed_attention)


def load_causal(source: str, device: str) -> Any:
    """The causal language model in the folder or hub id `source`, ready to read packed sequences on `device`."""
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(source, dtype=pick_dtype(device), attn_implementation=ATTENTION)
    return loaded.to(device).eval()


def packed_hidden(decoder: Any, sequences: Sequence[Sequence[int]]) -> Tensor:
    """Last hidden states [total length, hidden_size] of `sequences`, one after the other.

    `decoder` was loaded with `attn_implementation=ATTENTION`.
    """
    lengths = tuple(len(ids) for ids in sequences)
    device = next(decoder.parameters()).device
    ids = torch.tensor([i for sequence in sequences for i in sequence], device=device)
    positions = torch.cat([torch.arange(length, device=device) for length in lengths])
    states: Tensor = decoder(
        input_ids=ids.unsqueeze(0),
        position_ids=positions.unsqueeze(0),
        use_cache=False,
        packed_lengths=lengths,
    ).last_hidden_state
    return states[0]
