"""What a caller gives to a Cascade server and gets back from it, as plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

MetadataValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Document:
    """A text that can be ranked; `doc_id` may be empty among inline documents, which then go by position."""

    doc_id: str
    text: str
    title: str = ""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)


class StageStatus(StrEnum):
    """How a stage ended; everything but `completed` degrades the answer."""

    UNKNOWN = "unknown"
    COMPLETED = "completed"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    REDUCED = "reduced"


@dataclass(frozen=True, slots=True)
class StageTrace:
    """What one stage did; times in seconds, `detail` a sentence for a person, empty when all went well.

    `cost` is money by the server's prices, None where its model has none. `cached` counts what was remembered instead
    of computed; `backend` is what ran the model, such as torch-bf16.
    """

    stage: str
    kind: str
    status: StageStatus
    reason: str = ""
    detail: str = ""
    candidates_in: int = 0
    candidates_out: int = 0
    queue_time: float = 0.0
    run_time: float = 0.0
    model: str = ""
    tokens: int = 0
    truncated: int = 0
    scored: int = 0
    repairs: int = 0
    cost: float | None = None
    cached: int = 0
    backend: str = ""


@dataclass(frozen=True, slots=True)
class Truncation:
    """A document of which `stage` read only the first `tokens_seen` of `tokens_total` tokens."""

    doc_id: str
    stage: str
    tokens_seen: int
    tokens_total: int


@dataclass(frozen=True, slots=True)
class StageScore:
    """Where a document stood after `stage`, on that stage's own scale; `model_score` is its model's, not blended."""

    stage: str
    rank: int
    score: float
    model_score: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One ranked document.

    `rank` is the truth; `score` is native to the stage `scored_by`. `position` is the place in the request's
    documents, None for an index; `title` and `text` are empty unless asked for, and `stages` too. `probability` is the
    chance of relevance by the last calibrated tier that scored it, None where there is none.
    """

    doc_id: str
    rank: int
    score: float
    scored_by: str
    position: int | None = None
    title: str = ""
    text: str = ""
    stages: tuple[StageScore, ...] = ()
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What produced an answer; `models` by stage, `index_version` empty for inline documents.

    `cascade_version` is 0 for a cascade that is not from the store, and `canary` whether that version is on trial.
    """

    cascade: str
    config_hash: str
    models: Mapping[str, str]
    index_version: str = ""
    cascade_version: int = 0
    canary: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """An answer: the best documents first, and one trace entry per stage.

    `degraded` is True when a stage did less than the cascade asks for; the trace says which and why.
    """

    results: tuple[Result, ...]
    trace: tuple[StageTrace, ...]
    degraded: bool
    provenance: Provenance
    truncations: tuple[Truncation, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """The answer as it stands after `stage`; `final` on the last one, which equals what `rank` returns."""

    stage: str
    final: bool
    ranked: Ranked


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """An index and what was measured of it; `problem` is empty unless it cannot be read.

    `token_vectors` is the multi-vector model whose token vectors it holds, or empty; a document's take
    `token_vector_bytes_per_document` in the mean, and its token ids `token_id_bytes_per_document`, 0 where it has none.
    """

    name: str
    version: int
    documents: int
    encoder: str
    dimensions: int
    vector_search: str
    vector_recall: float
    updated_at: datetime
    problem: str = ""
    token_vectors: str = ""
    token_vector_bytes_per_document: float = 0.0
    token_id_bytes_per_document: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """How many documents a call added, replaced or deleted, and the index as it is since."""

    index: IndexInfo
    added: int = 0
    replaced: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class StageInfo:
    """One stage of a cascade; `depth` is how many candidates it passes on or reranks."""

    name: str
    kind: str
    depth: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class CascadeInfo:
    """One cascade, with its stages in the order they run; `version` is 0 for one that is not from the store."""

    name: str
    description: str
    config_hash: str
    stages: tuple[StageInfo, ...]
    version: int = 0


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model in use; `problem` says why it is not ready."""

    model: str
    kind: str
    ready: bool
    problem: str = ""
    backend: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may ask for."""

    max_message_bytes: int
    max_top_k: int
    max_documents: int
    max_query_chars: int
    max_document_chars: int
    max_concurrent_requests: int


class Priority(StrEnum):
    """Whose work goes first; a lower class runs only while no higher one waits."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may use, in tokens that models read; None sets no limit of its own.

    `burst_tokens` None stands for ten seconds' worth of `tokens_per_second`; `weight` is the tenant's share of a busy
    model among those of its priority, relative to theirs.
    """

    tokens_per_second: float | None = None
    burst_tokens: int | None = None
    max_concurrent_requests: int | None = None
    max_depth: int | None = None
    max_documents: int | None = None
    max_request_tokens: int | None = None
    priority: Priority = Priority.NORMAL
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server offers to `tenant`; a request must keep to `limits` and `quota` both."""

    version: str
    tenant: str
    cascades: tuple[CascadeInfo, ...]
    models: tuple[ModelInfo, ...]
    limits: Limits
    quota: Quota = Quota()


class Health(StrEnum):
    """The standard health service's answer."""

    UNKNOWN = "unknown"
    SERVING = "serving"
    NOT_SERVING = "not_serving"
