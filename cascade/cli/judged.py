"""What commands that fit a cascade to judged queries are given: the cascade, its file and the queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cascade.config import CascadeConfig
    from cascade.evaluate.collection import Collection
    from cascade.evaluate.through_server import Setup
    from cascade_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Found:
    """A cascade, the text of its file, and the file that its change is written to."""

    name: str
    config: CascadeConfig
    text: str
    out: Path


def cascade_of(reference: str, settings: Settings, tenant: str, out: Path | None) -> Found:
    """The cascade file at `reference`, or the cascade that a server with `settings` has by that name.

    Raises BadParameter for a name without `out`, NotFoundError, ConfigError.
    """
    from cascade import presets
    from cascade.config import load
    from cascade.errors import NotFoundError
    from cascade_server.cascade_files import read_cascades

    path = Path(reference)
    if path.suffix in (".yaml", ".yml"):
        config = load(path)
        return Found(path.stem, config, path.read_text(encoding="utf-8"), out or path)
    known = read_cascades(settings.cascades_dir, presets.load_all()).get(tenant, {})
    if reference not in known:
        raise NotFoundError("cascade", reference, sorted(known))
    if out is None:
        raise typer.BadParameter(f"{reference!r} is a name: say by --out which file to write, or give a cascade file")
    folder = settings.cascades_dir
    own = None if folder is None else next(iter(sorted((folder / tenant).glob(f"{reference}.y*ml"))), None)
    text = presets.text(reference) if own is None else own.read_text(encoding="utf-8")
    return Found(reference, known[reference], text, out)


def collection_of(
    reference: str, split: str, run: Path | None, run_depth: int, limit_queries: int | None, seed: int
) -> Collection:
    """The collection, with a run's documents as its queries' candidates where there is a run."""
    from cascade.evaluate import candidates as own
    from cascade.evaluate import collection as collections

    if run is None:
        judged = collections.read(reference, split)
    else:
        given = own.read_run(run, run_depth)
        documents = {doc_id for doc_ids in given.by_query.values() for doc_id in doc_ids}
        judged = own.with_run(collections.read(reference, split, lambda _: documents), given)
    return judged if limit_queries is None else judged.sample(limit_queries, seed)


def setup_of(
    cascade: str, collection: Collection, index: str | None, concurrency: int, timeout_ms: float, seed: int
) -> Setup:
    """How the collection is asked."""
    from cascade.evaluate.collection_index import index_name
    from cascade.evaluate.through_server import Setup

    return Setup(
        cascade=cascade,
        index="" if collection.candidates is not None else index or index_name(collection.name),
        concurrency=concurrency,
        timeout=timeout_ms / 1e3,
        seed=seed,
    )
