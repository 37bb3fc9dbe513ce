"""Tiers in which a language model reads, and writes nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from cascade.config.endpoint import EndpointConfig
from cascade.config.fields import Model, Name
from cascade.config.tier import PointwiseTier, Tier

LanguageBackend = Literal["auto", "torch-fp32", "torch-bf16", "native-int8"]
"""What runs a language model; `auto` rounds to eight bits only a joint model whose record says it costs nothing."""


class JointConfig(Tier):
    """A listwise LLM tier: one forward pass scores a block of documents by marker tokens.

    With `endpoint` the layers run there, at most `concurrency` blocks of a request at once, and only tokenizer and
    projector of `model` here. The server must give one vector for every token in v1/embeddings, and its model be the
    file that `cascade train export-gguf` wrote.
    """

    kind: Literal["joint"]
    name: Name = "listwise"
    model: Model = "embedded:listwise"
    endpoint: EndpointConfig | None = None
    concurrency: int = Field(4, ge=1, le=64)
    backend: LanguageBackend = "auto"
    max_doc_tokens: int = Field(256, ge=16)
    max_block_tokens: int = Field(2048, ge=256)

    @property
    def model_in_use(self) -> str:
        """That of the endpoint, where there is one."""
        return self.model if self.endpoint is None else self.endpoint.model


class LikelihoodConfig(PointwiseTier):
    """An LLM tier without training: the mean log-probability of the query given each document (Sachan et al., 2022).

    With `endpoint` it runs there, `model` is not used, and at most `concurrency` documents of a request are asked about
    at once; it must echo a prompt with the log-probabilities of its tokens. `bos` begins the prompt then: the text of
    the model's beginning token, where the server does not put it there and needs it.
    """

    kind: Literal["likelihood"]
    name: Name = "listwise"
    model: Model = "embedded:smollm2-135m-instruct"
    endpoint: EndpointConfig | None = None
    bos: str = Field("", max_length=64)
    concurrency: int = Field(4, ge=1, le=64)
    backend: LanguageBackend = "auto"
    max_doc_tokens: int = Field(256, ge=16)
    max_batch_tokens: int = Field(2048, ge=256)

    @property
    def model_in_use(self) -> str:
        """That of the endpoint, where there is one."""
        return self.model if self.endpoint is None else self.endpoint.model

    @model_validator(mode="after")
    def only_an_endpoint_is_told_its_beginning(self) -> LikelihoodConfig:
        """A local model's tokenizer knows its own."""
        if self.bos and self.endpoint is None:
            raise ValueError(f"found bos {self.bos!r} without an endpoint, for which it is; remove it")
        return self
