"""Evaluates cascades one after another: in a server of this process, or in one that runs elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cascade.config import CascadeConfig
from cascade.errors import NotFoundError
from cascade.evaluate.collection import Collection
from cascade.evaluate.collection_index import Wanted, index_name, index_on_disk, index_through_server
from cascade.evaluate.progress import bar, count
from cascade.evaluate.report import Report
from cascade.evaluate.serving import encoder_of, serving, with_room
from cascade.evaluate.shared import Shared, rest_of, share
from cascade.evaluate.through_server import Observed, Runs, Setup, conclude, observe
from cascade_client import AsyncClient
from cascade_server.settings import Settings

Judged = tuple[Report, Runs]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every cascade's report and runs, in the order asked for; the stages `shared` ran once for all of them."""

    judged: tuple[Judged, ...]
    shared: tuple[str, ...] = ()


async def here(
    collection: Collection, setup: Setup, configs: Mapping[str, CascadeConfig], settings: Settings, tenant: str
) -> Verdict:
    """A report on each of one or two cascades, by name, through a server that lives as long as the evaluation.

    `setup` is that of all but their names. Stages that the second has in common with the first run once; see `shared`.
    """
    names = list(configs)
    setups = {name: replace(setup, cascade=name) for name in names}
    if collection.candidates is None:
        for name, index in _indexes(setup.index, configs).items():
            setups[name] = replace(setups[name], index=index)
            wanted = Wanted(index, collection.documents, encoder_of(configs[name]))
            with bar(f"indexing {collection.name}") as progress:
                await index_on_disk(settings, tenant, wanted, progress)
    shared = None
    if len(names) == 2:
        shared = share(configs[names[0]], configs[names[1]], own_candidates=collection.candidates is not None)
    rest = {} if shared is None or shared.rest is None else {rest_of(names[1]): shared.rest}
    roomy = with_room(settings, collection, most=max((r.tiers[0].depth for r in rest.values()), default=0))
    async with serving(roomy, tenant, only={**configs, **rest}) as served:
        if shared is None:
            return Verdict(tuple([await _judge(served.client, collection, setups[name]) for name in names]))
        observed = await _observe_two(served.client, collection, [setups[name] for name in names], shared)
        judged = [await conclude(collection, setups[one.cascade.name], one) for one in observed]
        return Verdict(tuple(judged), shared.names)


async def elsewhere(collection: Collection, setup: Setup, cascades: Sequence[str], client: AsyncClient) -> Verdict:
    """As `here`, through the server of `client`, which has the cascades; it runs all stages of each."""
    async with client:
        known = {cascade.name: cascade for cascade in (await client.info()).cascades}
        for name in cascades:
            if name not in known:
                raise NotFoundError("cascade", name, list(known))
        if collection.candidates is None:
            stages = [stage for name in cascades for stage in known[name].stages]
            encoder = next((stage.model for stage in stages if stage.kind == "dense"), "")
            wanted = Wanted(setup.index, collection.documents, encoder)
            with bar(f"indexing {collection.name}") as progress:
                await index_through_server(client, wanted, progress)
        return Verdict(tuple([await _judge(client, collection, replace(setup, cascade=name)) for name in cascades]))


async def _judge(client: AsyncClient, collection: Collection, setup: Setup) -> Judged:
    return await conclude(collection, setup, await _observe(client, collection, setup))


async def _observe(client: AsyncClient, collection: Collection, setup: Setup) -> Observed:
    with count(f"asking {setup.cascade}", len(collection.queries)) as answered:
        return await observe(client, collection, setup, answered=answered)


async def _observe_two(
    client: AsyncClient, collection: Collection, setups: Sequence[Setup], shared: Shared
) -> list[Observed]:
    """What two cascades showed, of which the stages in common ran once."""
    first, second = setups
    if shared.contained == "first":
        whole = await _observe(client, collection, second)
        return [await shared.begin(client, whole, first.cascade), whole]
    whole = await _observe(client, collection, first)
    if shared.contained == "second":
        return [whole, await shared.begin(client, whole, second.cascade)]
    asked = shared.candidates(collection, whole)
    setup = replace(second, cascade=rest_of(second.cascade), index="")
    rest = await _observe(client, asked, setup)
    return [whole, await shared.join(client, whole, rest, second.cascade)]


def _indexes(index: str, configs: Mapping[str, CascadeConfig]) -> dict[str, str]:
    """An index for each cascade: `index`, but one of its own for another encoder than the first one's."""
    encoders = {name: encoder_of(config) for name, config in configs.items()}
    first = next((encoder for encoder in encoders.values() if encoder), "")
    return {
        name: index if encoder in ("", first) else index_name(f"{index}-{encoder.rpartition(':')[2]}")
        for name, encoder in encoders.items()
    }
