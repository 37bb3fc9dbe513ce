"""How a cross-encoder's pairs become token sequences, and their states scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cascade.inference.template import Template, template_of
from cascade.inference.towers.backbone import Backbone, backbone_of, backbone_of_pairs
from cascade.inference.towers.strip import Strip, Tokens
from cascade.inference.towers.tower import States

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

    from cascade.inference.pair_encoder import PairEncoder

Ids = Sequence[int] | npt.NDArray[Any]

_LEAST_NORM = 1e-8
_CLASSIFIERS = {
    "BertForSequenceClassification": "bert",
    "RobertaForSequenceClassification": "roberta",
    "XLMRobertaForSequenceClassification": "roberta",
    "CamembertForSequenceClassification": "roberta",
    "DistilBertForSequenceClassification": "distilbert",
}
"""Models of transformers whose body is an attribute of this name, and whose head reads the first token's state."""


class PairHead(Protocol):
    """What a cross-encoder is, apart from its layers."""

    special_tokens: int
    """How many a pair has beside those of its texts."""

    def tokens(self, query: Ids, passage: Ids) -> Tokens:
        """The sequence of a pair of token ids without special tokens."""
        ...

    def scores(self, states: States, strip: Strip) -> list[float]:
        """Of every sequence, by the states that were asked for [tokens, hidden]; of float32."""
        ...


class GatedHead:
    """That of a pair encoder: the cosine of the two texts' mean states, and a line on their first states."""

    def __init__(self, module: PairEncoder) -> None:
        tokenizer: Any = module.tokenizer
        self.special_tokens = module.special_tokens
        self._openings, self._last = module.openings, int(tokenizer.sep_token_id)
        self._scale = float(module.scale)
        self._weight = module.head.weight.detach().float().cpu().numpy()[0].copy()
        self._bias = np.float32(module.head.bias.detach().float().cpu().item())

    def tokens(self, query: Ids, passage: Ids) -> Tokens:
        """As promised by `PairHead`."""
        asking, reading = self._openings
        asked, read = len(asking) + len(query) + 1, len(reading) + len(passage) + 1
        ids = np.concatenate([asking, query, [self._last], reading, passage, [self._last]]).astype(np.int64)
        positions = np.concatenate([np.arange(asked), np.arange(read)])
        return Tokens(ids, positions, np.zeros(asked + read, dtype=np.int64), np.repeat([0, 1], [asked, read]))

    def scores(self, states: States, strip: Strip) -> list[float]:
        """As promised by `PairHead`."""
        starts = strip.starts[:-1]
        seconds = starts + np.add.reduceat(1 - strip.parts, starts)
        sums = np.add.reduceat(states, np.stack([starts, seconds], axis=1).ravel(), axis=0)  # cosines need no division
        query, passage = sums[0::2], sums[1::2]
        norms = [np.maximum(np.sqrt((one * one).sum(axis=1)), _LEAST_NORM) for one in (query, passage)]
        cosines = (query * passage).sum(axis=1) / (norms[0] * norms[1])
        line = (np.concatenate([states[starts], states[seconds]], axis=1) * self._weight).sum(axis=1) + self._bias
        found: list[float] = (self._scale * cosines + line).astype(np.float32).tolist()
        return found


class ClassifierHead:
    """That of a model that classifies: some layers of its library on the first token's state, then an activation."""

    def __init__(
        self, template: Template, logits: Callable[[Tensor], Tensor], activation: Callable[[Tensor], Tensor]
    ) -> None:
        self.special_tokens = template.size
        self._template = replace(template, only_first=True)
        self._logits = logits
        self._activation = activation

    def tokens(self, query: Ids, passage: Ids) -> Tokens:
        """As promised by `PairHead`."""
        return self._template.tokens(query, passage)

    def scores(self, states: States, strip: Strip) -> list[float]:
        """As promised by `PairHead`."""
        with torch.inference_mode():
            first = torch.from_numpy(states[strip.shown[:-1]])
            found: list[float] = self._activation(self._logits(first))[:, 0].tolist()
        return found


def taken_apart(model: CrossEncoder) -> tuple[Backbone, PairHead] | None:
    """The layers and the head of a model with one output, in float32 on the processor; None where it is not known how.

    The model is on the processor. Its own parts are used, and it is not to be run any more.
    """
    from cascade.inference.pair_encoder import PairEncoder

    module: Any = model[0]
    if isinstance(module, PairEncoder):
        return backbone_of_pairs(module), GatedHead(module)
    body = _CLASSIFIERS.get(type(model.transformers_model).__name__)
    prompt = model.prompts.get(model.default_prompt_name) if model.default_prompt_name else None
    tokenizer: Any = model.tokenizer
    template = template_of(tokenizer, 2)
    if body is None or len(model) > 1 or prompt or template is None or model.activation_fn is None:
        return None
    whole: Any = model.transformers_model
    backbone = backbone_of(getattr(whole, body))
    if backbone.bert is None or len(backbone.bert.words) < len(tokenizer):
        return None
    if len(backbone.bert.types) == 1:
        template = template.without_types()
    return backbone, ClassifierHead(template, _logits(whole, body), model.activation_fn)


def _logits(whole: Any, body: str) -> Callable[[Tensor], Tensor]:
    if body == "bert":
        pooler, classifier = whole.bert.pooler.float(), whole.classifier.float()
        return lambda first: classifier(pooler(first[:, None]))
    if body == "roberta":
        head = whole.classifier.float()
        return lambda first: head(first[:, None])
    before, after = whole.pre_classifier.float(), whole.classifier.float()
    return lambda first: after(torch.relu(before(first)))
