"""Where candidates come from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cascade.config.fields import Depth, Model, Name, Strict
from cascade.inference.towers.tower import Backend


class Bm25Config(Strict):
    """Lexical retrieval (Robertson and Zaragoza, 2009); `k1` and `b` are for inline documents only."""

    model: ClassVar[str] = ""
    kind: Literal["bm25"]
    name: Name = "bm25"
    depth: Depth = 100
    k1: float = Field(1.2, ge=0)
    b: float = Field(0.75, ge=0, le=1)


class DenseConfig(Strict):
    """Bi-encoder retrieval; `model` must be the encoder that the index was made with."""

    kind: Literal["dense"]
    name: Name = "dense"
    depth: Depth = 100
    model: Model = "embedded:all-minilm-l6-v2"
    backend: Backend = "auto"


class GivenConfig(Strict):
    """The order in which documents came with the request; there is none of an index."""

    model: ClassVar[str] = ""
    kind: Literal["given"]
    name: Name = "given"
    depth: Depth = 100


RetrieverConfig = Annotated[Bm25Config | DenseConfig | GivenConfig, Field(discriminator="kind")]
