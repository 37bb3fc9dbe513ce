"""Spares two cascades that are compared from running twice the stages that both begin with.

Nothing is kept from one evaluation to the next: what a stage ranks depends on weights, documents and code, and a stored
ranking of another day cannot be told from a true one. Within one evaluation all of these are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel

from cascade.config import CascadeConfig, GivenConfig, LateInteractionConfig, RrfConfig, TierConfig
from cascade.evaluate.collection import Candidates, Collection
from cascade.evaluate.runs import Observation, StageCost, rebuild
from cascade.evaluate.through_server import Observed, describe
from cascade_client import AsyncClient


@dataclass(frozen=True, slots=True)
class Shared:
    """The stages `names` that two cascades begin with.

    When one of the cascades has no others, it is `contained`, and what the other showed of them is all there is to
    know. Otherwise `rest` is the second cascade's own tiers, as a cascade that takes the ranking before them as given.
    """

    names: tuple[str, ...]
    contained: Literal["first", "second"] | None
    rest: CascadeConfig | None

    async def begin(self, client: AsyncClient, whole: Observed, cascade: str) -> Observed:
        """What the contained `cascade` showed, from what the longer one did."""
        described = await describe(client, cascade)
        by_query = {query_id: _only(found, self.names) for query_id, found in whole.by_query.items()}
        return replace(whole, cascade=described, by_query=by_query)

    def candidates(self, collection: Collection, whole: Observed) -> Collection:
        """`collection` with the candidates that the second cascade's own tiers rerank: the head that is shared."""
        assert self.rest is not None
        last, depth = self.names[-1], self.rest.tiers[0].depth
        stages = [stage for stage in whole.cascade.stages if stage.name in self.names]
        orders = rebuild(stages, whole.by_query)[last]
        given = {query_id: doc_ids[:depth] for query_id, doc_ids in orders.items() if doc_ids}
        return replace(collection, candidates=Candidates("run", given), notes=())

    async def join(self, client: AsyncClient, whole: Observed, rest: Observed, cascade: str) -> Observed:
        """What the second `cascade` showed: the shared stages as in `whole`, its own tiers as in `rest`.

        A query that the first cascade did not answer in time counts as unanswered by both.
        """
        assert self.rest is not None
        described = await describe(client, cascade)
        own = tuple(tier.name for tier in self.rest.tiers)
        idle = Observation({}, dict.fromkeys(own, StageCost("completed", 0, 0, 0.0)))  # reranked nothing, at no cost
        by_query = {}
        for query_id, found in whole.by_query.items():
            nothing_to_rank = found.costs and not rest.by_query[query_id].costs
            after = idle if nothing_to_rank else _only(rest.by_query[query_id], own)
            by_query[query_id] = _joined(_only(found, self.names), after)
        return replace(whole, cascade=described, by_query=by_query)


def share(first: CascadeConfig, second: CascadeConfig, *, own_candidates: bool) -> Shared | None:
    """What two cascades begin with alike, None when they have nothing in common that could run once.

    A cascade with a budget has to run whole: its later tiers get the time that earlier ones left. Own tiers can take
    over a ranking only where its order is all that they use of it: not its scores, and not an index's token vectors,
    which do not matter where queries bring their `own_candidates`.
    """
    if first.budget_ms is not None or second.budget_ms is not None:
        return None
    if _said(first.retrieve) != _said(second.retrieve) or _said([first.fuse]) != _said([second.fuse]):
        return None
    pairs = zip(_said(first.tiers), _said(second.tiers), strict=False)
    common = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(first.tiers), len(second.tiers)))
    names = (*(r.name for r in first.retrieve), first.fuse.name)
    if common == len(first.tiers) or common == len(second.tiers):
        contained: Literal["first", "second"] = "first" if common == len(first.tiers) else "second"
        return Shared((*names, *(tier.name for tier in first.tiers[:common])), contained, None)
    while common >= 0 and not _takes_order_only(second.tiers[common:], own_candidates=own_candidates):
        common -= 1
    if common < 0:
        return None
    own = second.tiers[common:]
    rest = CascadeConfig(
        retrieve=(GivenConfig(kind="given", name=_unused("given", second), depth=own[0].depth),),
        fuse=RrfConfig(name=second.fuse.name, depth=own[0].depth),
        tiers=own,
    )
    return Shared((*names, *(tier.name for tier in first.tiers[:common])), None, rest)


def rest_of(cascade: str) -> str:
    """What the cascade of the own tiers of `cascade` is called while it is measured."""
    return f"{cascade} from what is shared"


def _takes_order_only(own: Sequence[TierConfig], *, own_candidates: bool) -> bool:
    blend = own[0].blend
    scores = getattr(own[0], "until", None) is not None or (blend is not None and blend.method != "rrf")
    vectors = any(isinstance(tier, LateInteractionConfig) for tier in own) and not own_candidates
    return not scores and not vectors


def _said(stages: Sequence[BaseModel]) -> list[str]:
    """Each stage as JSON, without the evidence that a tuned one carries."""
    return [stage.model_dump_json() for stage in stages]


def _unused(name: str, config: CascadeConfig) -> str:
    while name in config.stage_names:
        name += "-"
    return name


def _only(found: Observation, names: Sequence[str]) -> Observation:
    """What of an observation concerns the stages `names`."""
    costs = {name: cost for name, cost in found.costs.items() if name in names}
    return Observation(
        ranks={name: ranks for name, ranks in found.ranks.items() if name in names},
        costs=costs,
        degraded=any(cost.status != "completed" for cost in costs.values()),
        unanswered=found.unanswered,
    )


def _joined(begun: Observation, own: Observation) -> Observation:
    return Observation(
        ranks={**begun.ranks, **own.ranks},
        costs={**begun.costs, **own.costs},
        degraded=begun.degraded or own.degraded,
        unanswered=begun.unanswered or own.unanswered,
    )
