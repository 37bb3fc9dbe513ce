"""Wires cascades: from what a cascade file says to stages with models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from cascade.config import (
    CascadeConfig,
    CrossEncoderConfig,
    DenseConfig,
    EndpointConfig,
    FuserConfig,
    GivenConfig,
    IdentityConfig,
    JointConfig,
    LateInteractionConfig,
    LikelihoodConfig,
    LogitsConfig,
    PermutationConfig,
    SetwiseConfig,
    TierConfig,
    TournamentConfig,
    WeightedConfig,
)
from cascade.engine import Cascade
from cascade.errors import ConfigError, InvalidInputError, Violation
from cascade.fuse.rrf import RrfFuser
from cascade.fuse.weighted import WeightedFuser
from cascade.index.snapshot import Snapshot
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade.inference.multi_vector import MultiVectorModel
from cascade.models import Loan, Models
from cascade.rerank.cross_encoder import CrossEncoderReranker
from cascade.rerank.identity import IdentityReranker
from cascade.rerank.late_interaction import LateInteractionReranker
from cascade.rerank.listwise.echo_reader import EchoReader
from cascade.rerank.listwise.endpoint_joint import EndpointJointReranker
from cascade.rerank.listwise.endpoint_likelihood import EndpointLikelihoodReranker
from cascade.rerank.listwise.endpoint_order_reader import EndpointOrderReader
from cascade.rerank.listwise.endpoint_reader import EndpointReader
from cascade.rerank.listwise.joint import JointReranker
from cascade.rerank.listwise.joint_head import JointHead
from cascade.rerank.listwise.joint_model import JointModel
from cascade.rerank.listwise.joint_reader import JointReader
from cascade.rerank.listwise.language_model import LanguageModel
from cascade.rerank.listwise.likelihood import LikelihoodReranker
from cascade.rerank.listwise.likelihood_model import LikelihoodModel
from cascade.rerank.listwise.list_prompt import ListPrompt
from cascade.rerank.listwise.list_reader import ListReader
from cascade.rerank.listwise.logits import LogitsReranker
from cascade.rerank.listwise.order_reader import OrderReader
from cascade.rerank.listwise.permutation import PermutationReranker
from cascade.rerank.listwise.setwise import SetwiseReranker
from cascade.rerank.listwise.task import Reader
from cascade.rerank.listwise.tournament import TournamentReranker
from cascade.retrieve import (
    Bm25Retriever,
    DenseRetriever,
    Given,
    InlineBm25,
    InlineDense,
    InlineDocuments,
    SnapshotDocuments,
)
from cascade.stages import Corpus, Fuser, Reranker, Retriever
from cascade.tier import Tier
from cascade.types import Document

__all__ = ["Models", "bind_documents", "bind_index", "build_cascade"]


def build_cascade(name: str, config: CascadeConfig, models: Models) -> Cascade:
    """Wire a cascade; cheap, since models load at `warm_up()` or at their first call.

    Its models stay as long as it lives.
    """
    with models.lending() as loan:
        tiers = [Tier(tier, _reranker(tier, loan)) for tier in config.tiers]
        encoders = [loan.encoder(r.model, r.backend) for r in config.retrieve if isinstance(r, DenseConfig)]
        return loan.to(Cascade(name, config, _fuser(config.fuse), tiers, encoders=encoders))


def bind_index(config: CascadeConfig, snapshot: Snapshot, models: Models) -> Corpus:
    """The cascade's retrievers over one version of an index.

    Raises ConfigError when the cascade's encoder is not the one that made the index's vectors, InvalidInputError when
    the cascade ranks documents of requests only.
    """
    retrievers: dict[str, Retriever] = {}
    for stage in config.retrieve:
        if isinstance(stage, DenseConfig):
            if stage.model != snapshot.info.encoder:
                problem = (
                    f"retriever {stage.name!r} encodes queries with {stage.model!r}, but the vectors of index "
                    f"{snapshot.info.name!r} were made with {snapshot.info.encoder!r}; name that model, or index again"
                )
                raise ConfigError("cascade", [problem])
            retrievers[stage.name] = DenseRetriever(snapshot, models.encoder(stage.model, stage.backend), stage.name)
        elif isinstance(stage, GivenConfig):
            message = f"retriever {stage.name!r} keeps the order of the request's own documents; send those instead"
            raise InvalidInputError([Violation("index", message)])
        else:
            retrievers[stage.name] = Bm25Retriever(snapshot, stage.name)
    info = snapshot.info
    return Corpus(
        retrievers,
        SnapshotDocuments(snapshot),
        size=info.documents,
        version=str(info.version),
        token_vectors=snapshot.token_vectors,
        token_ids=snapshot.token_ids,
    )


def bind_documents(config: CascadeConfig, documents: Sequence[Document], models: Models) -> Corpus:
    """The cascade's retrievers over the documents of one request."""
    retrievers: dict[str, Retriever] = {}
    for stage in config.retrieve:
        if isinstance(stage, DenseConfig):
            retrievers[stage.name] = InlineDense(documents, models.encoder(stage.model, stage.backend), stage.name)
        elif isinstance(stage, GivenConfig):
            retrievers[stage.name] = Given(documents, stage.name)
        else:
            retrievers[stage.name] = InlineBm25(documents, stage.name, k1=stage.k1, b=stage.b)
    return Corpus(retrievers, InlineDocuments(documents), size=len(documents), whole=True)


def _fuser(config: FuserConfig) -> Fuser:
    if isinstance(config, WeightedConfig):
        return WeightedFuser(config.name, normalize=config.normalize, weights=config.weights)
    return RrfFuser(config.name, rrf_k=config.rrf_k, weights=config.weights)


def _reranker(config: TierConfig, models: Loan) -> Reranker:
    """One case for every kind of tier."""
    match config:
        case CrossEncoderConfig():
            return CrossEncoderReranker(
                config.name,
                models.get(CrossEncoderModel, config.model, backend=config.backend, deterministic=config.deterministic),
                max_length=config.max_length,
                max_batch_tokens=config.max_batch_tokens,
            )
        case LateInteractionConfig():
            return LateInteractionReranker(
                config.name,
                models.get(MultiVectorModel, config.model, backend=config.backend, deterministic=config.deterministic),
                max_query_tokens=config.max_query_tokens,
                max_doc_tokens=config.max_doc_tokens,
                max_batch_tokens=config.max_batch_tokens,
            )
        case JointConfig(endpoint=EndpointConfig() as endpoint):
            return EndpointJointReranker(
                config.name,
                JointReader(models.endpoint(endpoint), models.get(JointHead, config.model)),
                max_doc_tokens=config.max_doc_tokens,
                max_block_tokens=config.max_block_tokens,
                concurrency=config.concurrency,
            )
        case JointConfig():
            return JointReranker(
                config.name,
                models.get(JointModel, config.model, backend=config.backend),
                max_doc_tokens=config.max_doc_tokens,
                max_block_tokens=config.max_block_tokens,
            )
        case LikelihoodConfig(endpoint=EndpointConfig() as endpoint):
            return EndpointLikelihoodReranker(
                config.name,
                EchoReader(models.endpoint(endpoint), bos=config.bos),
                max_doc_tokens=config.max_doc_tokens,
                concurrency=config.concurrency,
            )
        case LikelihoodConfig():
            return LikelihoodReranker(
                config.name,
                models.get(LikelihoodModel, config.model, backend=config.backend),
                max_doc_tokens=config.max_doc_tokens,
                max_batch_tokens=config.max_batch_tokens,
            )
        case LogitsConfig():
            return LogitsReranker(
                config.name,
                _reader(config, models, most=config.window),
                window=config.window,
                stride=config.stride,
                max_doc_tokens=config.max_doc_tokens,
                both_orders=config.both_orders,
            )
        case PermutationConfig():
            return PermutationReranker(
                config.name,
                _order_reader(config, models),
                window=config.window,
                stride=config.stride,
                max_doc_tokens=config.max_doc_tokens,
            )
        case SetwiseConfig():
            return SetwiseReranker(
                config.name,
                _reader(config, models, most=config.children + 1),
                children=config.children,
                top=config.top,
                max_doc_tokens=config.max_doc_tokens,
                both_orders=config.both_orders,
            )
        case TournamentConfig():
            return TournamentReranker(
                config.name,
                _reader(config, models, most=config.group),
                group=config.group,
                rounds=config.rounds,
                max_doc_tokens=config.max_doc_tokens,
                both_orders=config.both_orders,
            )
        case IdentityConfig():
            return IdentityReranker()
        case _:
            assert_never(config)


def _reader(config: LogitsConfig | SetwiseConfig | TournamentConfig, models: Loan, *, most: int) -> Reader:
    """Whom a tier asks about lists of at most `most` documents."""
    if config.endpoint is not None:
        # An endpoint cannot be told how an answer begins, so this prompt asks for the letter alone.
        endpoint = models.endpoint(config.endpoint)
        return EndpointReader(endpoint, config.kind, ListPrompt("letter-v1"), most=most)
    prompt = ListPrompt(f"{config.kind}-v1")
    return ListReader(models.get(LanguageModel, config.model), config.kind, prompt, most=most)


def _order_reader(config: PermutationConfig, models: Loan) -> Reader:
    """Whom a tier asks to write orders."""
    prompt = ListPrompt(f"{config.kind}-v1", [str(number) for number in range(1, max(3, config.window) + 1)])
    if config.endpoint is not None:
        endpoint = models.endpoint(config.endpoint)
        return EndpointOrderReader(endpoint, config.kind, prompt, concurrency=config.concurrency)
    model = models.get(LanguageModel, config.model)
    return OrderReader(model, config.kind, prompt, most=config.window, constrained=config.constrained)
