"""How sentence-transformers' Transformer module reads a text, where it reads nothing but its tokens."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from cascade.inference.template import Template, template_of
from cascade.inference.tokenised import MOST_TOKENS, Tokeniser
from cascade.inference.towers.backbone import Backbone, backbone_of

if TYPE_CHECKING:
    from torch import nn

_PROBES = ("a", "The cat sat.", " (and slept)", "42 mats", "été")
QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # as the library looks for one


def text_backbone(module: nn.Module) -> tuple[Backbone, Template] | None:
    """The layers of a Transformer module in float32, and its special tokens; None where it does more than that.

    The module is on the processor. Its own weights are used, and it is not to be run any more.
    """
    from sentence_transformers.base.modules import Transformer

    known: Any = module
    if type(module) is not Transformer or known.transformer_task != "feature-extraction":
        return None
    forward = {"method": "forward", "method_output_name": "last_hidden_state"}
    modes = known.modality_config
    if "message" in modes or modes.get("text") != forward or known.module_output_name != "token_embeddings":
        return None
    if known.backend != "torch" or known.processing_kwargs:
        return None
    template = template_of(known.tokenizer, 1)
    if template is None:
        return None
    backbone = backbone_of(known.model)
    weights = backbone.bert
    if weights is None and known.model.dtype is not torch.float32:
        return None  # which would take twice its memory
    if weights is not None and len(weights.words) < len(known.tokenizer):
        return None
    if weights is not None and len(weights.types) == 1:
        template = template.without_types()
    return backbone, template


def most_tokens(backbone: Backbone | None, limits: Sequence[int | None]) -> int:
    """The least of what a model says that it can read, of what it has positions for, and of what is tokenised."""
    positions = sys.maxsize if backbone is None or backbone.bert is None else len(backbone.bert.positions)
    return min([limit for limit in limits if limit] + [positions, MOST_TOKENS])


def prompt_of(prompts: Mapping[str, str | None], default: str | None, names: Sequence[str]) -> str:
    """What the library would put before a text: the prompt of the first of these names that there is, or of `default`.

    Empty where it would put nothing.
    """
    name = next((name for name in names if name in prompts), default)
    return (prompts.get(name) or "") if name is not None else ""


def joins(tokenise: Tokeniser, prompt: str) -> bool:
    """Whether the token ids of the prompt before a text are those of the one and then those of the other, by trial."""
    first, *alone = tokenise([prompt, *_PROBES])
    together = tokenise([prompt + text for text in _PROBES])
    return all([*first.ids, *one.ids] == list(both.ids) for one, both in zip(alone, together, strict=True))
