"""The layers of a causal language model, run over packed spans: one interface, two ways to run them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from cascade.inference.device import pick_dtype
from cascade.inference.towers.tower import Backend, BackendName
from cascade.rerank.listwise.llama import LlamaDecoder, torch_backend
from cascade.rerank.listwise.span import Pass, Span

ATTENTION = "cascade_packed"
_MORE = ("softcap", "s_aux", "position_bias")
"""What some models add to attention: a bound of logits, sinks, a bias by distance."""
_DTYPES = {"torch-fp32": torch.float32, "torch-bf16": torch.bfloat16}


class Decoder(Protocol):
    """Reads spans together without mixing them; called by one thread at a time."""

    backend: BackendName

    def read(self, spans: Sequence[Span]) -> list[Tensor]:
        """Of each span the last layer's states [wanted, hidden_size], as its model's head would read them."""
        ...


class LibraryDecoder:
    """Any decoder stack of the transformers library, loaded with `attn_implementation=ATTENTION`."""

    def __init__(self, stack: Any) -> None:
        self.backend: BackendName = torch_backend(stack)
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
    """Causal attention within each of the spans; without `spans` there is one sequence, read from its start.

    Raises ValueError where the model's attention is another: its numbers would be wrong.
    """
    if (more := next((name for name in _MORE if options.get(name) is not None), None)) is not None:
        raise ValueError(f"found attention with {more}, expected a softmax of scaled products; choose another model")
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


def load_causal(source: str, device: str, backend: Backend = "auto") -> Any:
    """The causal language model in the folder or hub id `source`, ready for `decoder_of` on `device`."""
    from transformers import AutoModelForCausalLM

    dtype = dtype_of(backend, device)
    loaded: Any = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, attn_implementation=ATTENTION)
    return loaded.to(device).eval()


def dtype_of(backend: Backend, device: str) -> torch.dtype:
    """The number format in which weights are loaded. Raises ValueError for a backend that runs no language model."""
    if backend in _DTYPES:
        return _DTYPES[backend]
    if backend in ("auto", "native-int8"):
        return pick_dtype(device)
    raise ValueError(f"no language model runs on {backend}; expected auto, native-int8 or one of {', '.join(_DTYPES)}")


def decoder_of(stack: Any, backend: Backend = "auto", *, threads: int | None = None) -> Decoder:
    """What runs this stack as it is wanted; `auto` never rounds to eight bits: whether that costs quality,
    `choice.chosen` knows.

    The stack's weights are shared and stay as they were, but in eight bits its layers are given up. Raises ValueError
    where that cannot be.
    """
    from cascade.rerank.listwise.native_llama import NativeLlama

    threads = threads or torch.get_num_threads()
    rounded = backend == "native-int8"
    if NativeLlama.runs(stack) and (rounded or torch_backend(stack) == "torch-bf16"):
        return NativeLlama(stack, threads=threads, eight_bits=rounded)
    if rounded:
        raise ValueError(
            f"native-int8 runs Llama without biases on a processor, found {type(stack).__name__} on "
            f"{next(stack.parameters()).device}; use backend auto"
        )
    return LlamaDecoder(stack) if LlamaDecoder.runs(stack) else LibraryDecoder(stack)
