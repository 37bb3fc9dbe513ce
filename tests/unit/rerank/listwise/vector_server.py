"""Answers of an embeddings server that tells every token's hidden state, by a joint model's own network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch

from cascade.rerank.listwise.network import JointNetwork
from tests.unit.rerank.listwise.chat_server import Answer, Reply

Vectors = Sequence[Sequence[float]]


def ids_of(text: str) -> list[int]:
    """The tokens that a text says: a character of the private planes each."""
    assert all(character >= "\U000f0000" for character in text)
    return [ord(character) - 0xF0000 for character in text]


def states(network: JointNetwork, text: str) -> Vectors:
    """One for every token."""
    with torch.inference_mode():
        found: Vectors = network.backbone(input_ids=torch.tensor([ids_of(text)])).last_hidden_state[0].tolist()
    return found


def reading(network: JointNetwork, *, most: int | None = None, before: int = 0) -> Answer:
    """A server that runs this network, reads `most` tokens, and puts so many of its own before a text."""

    def answer(text: str) -> Reply:
        found = states(network, text)
        return embedded([*found[:before], *found][:most])

    return answer


def embedded(vectors: Any, *, tokens: int | None = None) -> Reply:
    """An answer that tells this embedding; without usage where nothing is known to be read."""
    body: dict[str, Any] = {"data": [{"embedding": vectors}]}
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Reply(200, json.dumps(body))
