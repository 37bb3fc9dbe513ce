"""A cascade as its owner writes it: which stages, in which order, how deep, within what time."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cascade.cascade_yaml import MAX_BYTES, read_mapping
from cascade.errors import ConfigError
from cascade.inference.towers.tower import Backend

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Depth = Annotated[int, Field(ge=1, le=10_000)]
Model = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]

_MAX_STAGES = 32
"""Each costs every request something, and has series of metrics of its own."""
_MAX_PROBLEMS = 100
"""Told of one file; a page can hold thousands."""


class _Strict(BaseModel):
    """Frozen, unknown keys and numbers that are not finite are refused: a typo must not silently change a cascade."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Bm25Config(_Strict):
    """Lexical retrieval (Robertson and Zaragoza, 2009); `k1` and `b` are for inline documents only."""

    model: ClassVar[str] = ""
    kind: Literal["bm25"]
    name: Name = "bm25"
    depth: Depth = 100
    k1: float = Field(1.2, ge=0)
    b: float = Field(0.75, ge=0, le=1)


class DenseConfig(_Strict):
    """Bi-encoder retrieval; `model` must be the encoder that the index was made with."""

    kind: Literal["dense"]
    name: Name = "dense"
    depth: Depth = 100
    model: Model = "embedded:all-minilm-l6-v2"
    backend: Backend = "auto"


class GivenConfig(_Strict):
    """The order in which documents came with the request; there is none of an index."""

    model: ClassVar[str] = ""
    kind: Literal["given"]
    name: Name = "given"
    depth: Depth = 100


RetrieverConfig = Annotated[Bm25Config | DenseConfig | GivenConfig, Field(discriminator="kind")]


class RrfConfig(_Strict):
    """Reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009)."""

    kind: Literal["rrf"] = "rrf"
    name: Name = "fuse"
    depth: Depth = 100
    rrf_k: float = Field(60, gt=0)
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)


class WeightedConfig(_Strict):
    """A weighted sum of normalised scores; a document that a branch did not find gets no more than its lowest."""

    kind: Literal["weighted"]
    name: Name = "fuse"
    depth: Depth = 100
    normalize: Literal["min_max", "z_score"] = "min_max"
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)


FuserConfig = Annotated[RrfConfig | WeightedConfig, Field(discriminator="kind")]


class Blend(_Strict):
    """Fuses a tier's order with the order it received; `weight` is the tier's share.

    By rrf two documents that the orders swap tie at a half, and their ids decide; below, the order received does. The
    other methods add the scores, each brought to one scale over the tier's depth, with forecasts for what a tier that
    stops early did not read; where the candidates come from several stages, their ranks stand in for their scores.
    """

    method: Literal["rrf", "z_score", "min_max"] = "rrf"
    weight: float = Field(0.45, gt=0, lt=1)
    rrf_k: float = Field(60, gt=0)


Evidence = dict[str, str | int | float]
"""What a setting was measured by, for whoever reads the file; no part of what the cascade means."""


class Prior(_Strict):
    """What a tier's scores are before any is known: a sum of three signals, each with a coefficient.

    The signals are 1, the z-scored score received and the log of the rank received. `mean` and `spread` are the mean
    and standard deviation of their coefficients over queries, `sigma` that of a score around the sum.
    """

    mean: tuple[float, float, float]
    spread: tuple[Positive, Positive, Positive]
    sigma: Positive


class Until(_Strict):
    """A pointwise tier may stop early: when with this `confidence` nothing unscored would enter the first `stable_top`.

    Candidates are scored in the order received, the `first` of them at once and then `step` at a time. `cascade tune`
    finds the settings.
    """

    stable_top: Depth = 10
    confidence: float = Field(0.95, gt=0, lt=1)
    first: Depth = 20
    step: Depth = 10
    prior: Prior | None = None
    evidence: Evidence = Field(default_factory=dict, exclude=True)


class Platt(_Strict):
    """Probability of relevance 1 / (1 + exp(-(a * score + b))) (Platt, 1999)."""

    method: Literal["platt"]
    a: Positive
    b: float
    evidence: Evidence = Field(default_factory=dict, exclude=True)


class Isotonic(_Strict):
    """Probability of relevance by linear interpolation between points that rise in both (Zadrozny and Elkan, 2002)."""

    method: Literal["isotonic"]
    x: tuple[float, ...] = Field(min_length=1)
    y: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1)
    evidence: Evidence = Field(default_factory=dict, exclude=True)

    @model_validator(mode="after")
    def points_rise(self) -> Isotonic:
        """A probability that falls while the score rises would contradict the ranking."""
        if len(self.x) != len(self.y):
            raise ValueError(f"{len(self.x)} scores for {len(self.y)} probabilities, expected as many")
        if list(self.x) != sorted(set(self.x)) or list(self.y) != sorted(self.y):
            raise ValueError("x must rise and y must not fall; write it with `cascade calibrate`")
        return self


Calibration = Annotated[Platt | Isotonic, Field(discriminator="method")]


class _Tier(_Strict):
    reads_text: ClassVar[bool] = True
    depth: Depth
    max_time_ms: float | None = Field(None, gt=0)
    blend: Blend | None = None

    @property
    def model_in_use(self) -> str:
        """The model that reads, for the trace; empty without one."""
        return str(getattr(self, "model", ""))


class PointwiseTier(_Tier):
    """Scores each document by itself, so that it can stop anywhere and its scores mean the same for every query."""

    until: Until | None = None
    calibration: Calibration | None = None


class _EncoderTier(PointwiseTier):
    """An encoder reads, run by `backend`; `deterministic` asks for one that gives a document's score the same bits
    whatever other documents it is read with.
    """

    backend: Backend = "auto"
    deterministic: bool = False


class CrossEncoderConfig(_EncoderTier):
    """A sentence-transformers CrossEncoder reads query and document together, in `max_length` tokens or all it can."""

    kind: Literal["cross_encoder"]
    name: Name = "cross_encoder"
    model: Model = "embedded:cross-encoder"
    max_length: int = Field(256, ge=16, le=8192)
    max_batch_tokens: int = Field(4096, ge=64)


class LateInteractionConfig(_EncoderTier):
    """Sum over the query's tokens of the best cosine among the document's (ColBERT, Khattab and Zaharia, 2020)."""

    kind: Literal["late_interaction"]
    name: Name = "late_interaction"
    model: Model = "embedded:late-interaction"
    max_query_tokens: int = Field(32, ge=4, le=512)
    max_doc_tokens: int = Field(180, ge=16, le=8192)
    max_batch_tokens: int = Field(4096, ge=64)


LanguageBackend = Literal["auto", "torch-fp32", "torch-bf16", "native-int8"]
"""What runs a language model; `auto` never rounds it to eight bits."""


class JointConfig(_Tier):
    """A listwise LLM tier: one forward pass scores a block of documents by marker tokens."""

    kind: Literal["joint"]
    name: Name = "listwise"
    model: Model = "embedded:listwise"
    backend: LanguageBackend = "auto"
    max_doc_tokens: int = Field(256, ge=16)
    max_block_tokens: int = Field(2048, ge=256)

    @model_validator(mode="before")
    @classmethod
    def it_runs_here(cls, said: object) -> object:
        """An endpoint tells what a model writes; joint reads what stands in its middle."""
        if isinstance(said, dict) and said.get("endpoint") is not None:
            raise ValueError(
                "found an endpoint, but joint reads hidden states, which no such API tells; leave endpoint out, or "
                "choose logits, permutation, setwise, tournament or likelihood"
            )
        return said


class EndpointConfig(_Strict):
    """A server that speaks OpenAI's API; `url` ends in /v1; the key is in a file, never here."""

    url: str = Field(pattern=r"^https?://[^\s]+$")
    model: Model
    api_key_file: str | None = None
    timeout_ms: float = Field(10_000, gt=0)
    retries: int = Field(1, ge=0, le=5)


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


class _PromptedTier(_Tier):
    """A language model is asked in words, through a prompt; with `endpoint` it runs there, and `model` is not used.

    With `both_orders`, where a kind has it, every list is read forwards and backwards: twice the time, and a place in
    a list weighs less.
    """

    name: Name = "listwise"
    model: Model = "embedded:smollm2-135m-instruct"
    endpoint: EndpointConfig | None = None
    max_doc_tokens: int = Field(100, ge=16)

    @property
    def model_in_use(self) -> str:
        """That of the endpoint, where there is one."""
        return self.model if self.endpoint is None else self.endpoint.model


class _WindowedTier(_PromptedTier):
    """Reads windows from the back, each `stride` further up; what stands best in one goes on into the next."""

    window: int = Field(20, ge=2, le=100)
    stride: int = Field(10, ge=1)

    @model_validator(mode="after")
    def windows_leave_no_gap(self) -> _WindowedTier:
        """A document between two windows would never be read."""
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} is more than the window of {self.window}; lower it to that or less")
        return self


class LogitsConfig(_WindowedTier):
    """The order is read from the first generated token's logits over the identifiers (FIRST, Reddy et al., 2024)."""

    kind: Literal["logits"]
    window: int = Field(20, ge=2, le=26)
    both_orders: bool = True


class PermutationConfig(_WindowedTier):
    """The order is generated, in sliding windows from the back (RankGPT, Sun et al., 2023).

    `constrained` lets a local model write nothing but an order; an endpoint is asked about at most `concurrency`
    windows of a request at once.
    """

    kind: Literal["permutation"]
    concurrency: int = Field(2, ge=1, le=64)
    constrained: bool = True


class SetwiseConfig(_PromptedTier):
    """A heap sorted by asking which of `children` + 1 documents is the best (Zhuang et al., 2023)."""

    kind: Literal["setwise"]
    children: int = Field(3, ge=1, le=25)
    top: Depth = 10
    both_orders: bool = True


class TournamentConfig(_PromptedTier):
    """Rounds of groups whose best gain points (TourRank, Chen et al., 2024)."""

    kind: Literal["tournament"]
    group: int = Field(4, ge=2, le=26)
    rounds: int = Field(3, ge=1, le=100)
    both_orders: bool = True


class IdentityConfig(_Tier):
    """Keeps the order it received; only narrows."""

    reads_text: ClassVar[bool] = False
    model: ClassVar[str] = ""
    kind: Literal["identity"]
    name: Name = "identity"


TierConfig = Annotated[
    CrossEncoderConfig
    | LateInteractionConfig
    | JointConfig
    | LikelihoodConfig
    | LogitsConfig
    | PermutationConfig
    | SetwiseConfig
    | TournamentConfig
    | IdentityConfig,
    Field(discriminator="kind"),
]


PointwiseConfig = CrossEncoderConfig | LateInteractionConfig | LikelihoodConfig
"""The tiers that score each document by itself."""


class CascadeConfig(_Strict):
    """One cascade: retrieve, fuse, then tiers of growing cost and shrinking depth.

    `on_overload` says what a busy server does with a request that it could serve in time if it were idle: refuse it at
    once, or answer it by a cheaper plan, with fewer candidates for its tiers or fewer tiers, which the trace says.
    """

    description: str = ""
    retrieve: tuple[RetrieverConfig, ...]
    fuse: FuserConfig = RrfConfig()
    tiers: tuple[TierConfig, ...] = ()
    budget_ms: float | None = Field(None, gt=0)
    on_overload: Literal["refuse", "cheaper"] = "refuse"

    @model_validator(mode="after")
    def a_cascade_retrieves(self) -> CascadeConfig:
        """Without candidates there is nothing to rank."""
        if not self.retrieve:
            raise ValueError("retrieve is empty; name at least one retriever, such as {kind: bm25}")
        return self

    @model_validator(mode="after")
    def a_cascade_is_short(self) -> CascadeConfig:
        """A page holds a thousand stages, which would keep the event loop from everybody else's requests."""
        if len(self.stage_names) > _MAX_STAGES:
            raise ValueError(f"found {len(self.stage_names)} stages, expected at most {_MAX_STAGES}; leave some out")
        return self

    @model_validator(mode="after")
    def stage_names_are_unique(self) -> CascadeConfig:
        """A trace or metric line must point at one stage."""
        seen: set[str] = set()
        for name in self.stage_names:
            if name in seen:
                raise ValueError(f"two stages are named {name!r}; give each stage a name of its own")
            seen.add(name)
        return self

    @model_validator(mode="after")
    def a_cascade_narrows(self) -> CascadeConfig:
        """No tier sees more candidates than the one before it."""
        before, allowed = self.fuse.name, self.fuse.depth
        for tier in self.tiers:
            if tier.depth > allowed:
                raise ValueError(
                    f"tier {tier.name!r} has depth {tier.depth}, more than the {allowed} of {before!r} before it: "
                    f"a cascade narrows; lower it to {allowed} or less"
                )
            before, allowed = tier.name, tier.depth
        return self

    @model_validator(mode="after")
    def fusion_weights_name_retrievers(self) -> CascadeConfig:
        """A weight for a branch that does not exist is a typo."""
        names = [r.name for r in self.retrieve]
        for branch in self.fuse.weights:
            if branch not in names:
                raise ValueError(f"fuse has a weight for {branch!r}, expected one of the retrievers {', '.join(names)}")
        if self.fuse.weights and not any(self.fuse.weights.get(n, 1.0) > 0 for n in names):
            raise ValueError("fuse gives every retriever the weight 0; give at least one a weight above 0")
        return self

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Every stage's name, in the order they run."""
        return (*(r.name for r in self.retrieve), self.fuse.name, *(t.name for t in self.tiers))

    @property
    def calibrated(self) -> str:
        """The last tier whose scores are mapped to probabilities, empty without one."""
        tiers = (t.name for t in reversed(self.tiers) if isinstance(t, PointwiseTier) and t.calibration is not None)
        return next(tiers, "")

    @property
    def config_hash(self) -> str:
        """Twelve hex digits of the SHA-256 of what the cascade says, equal for equal meaning."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def parse(text: str, source: str) -> CascadeConfig:
    """Read a cascade from YAML. Raises ConfigError with every problem found, each with its place in the file."""
    try:
        return CascadeConfig.model_validate(read_mapping(text, source))
    except ValidationError as error:
        raise ConfigError(source, _problems(error)) from error


def load(path: Path) -> CascadeConfig:
    """Read a cascade file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        # What is cut may end within a character, and is refused for its length.
        text = data.decode(errors="strict" if len(data) <= MAX_BYTES else "replace")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}"]) from error
    return parse(text, str(path))


def _problems(error: ValidationError) -> list[str]:
    found = [_problem(e["loc"], e["type"], e["msg"]) for e in error.errors(include_input=False, include_url=False)]
    left = len(found) - _MAX_PROBLEMS
    return found if left <= 0 else [*found[:_MAX_PROBLEMS], f"and {left} more problems"]


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    place = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"{place}: unknown key; check its spelling or remove it"
    message = message.removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
