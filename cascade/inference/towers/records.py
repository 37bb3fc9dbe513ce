"""What a backend that rounds costs in quality: measured on judged collections, and kept for exactly its weights."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import structlog

from cascade.inference.towers.tower import BackendName
from cascade.weights import cache_root

if TYPE_CHECKING:
    import torch
    from torch import nn

log = structlog.get_logger()

FILE = "backends.json"
"""The name of a model folder's file of records."""
MOST_LOSS = 0.002
"""Of nDCG@10, with which a backend still counts as good as float32."""
_SHIPPED = Path(__file__).parents[2] / "weights" / "backends"


@dataclass(frozen=True, slots=True)
class Measured:
    """A backend against torch-fp32 on the same candidates of the same queries of one collection.

    `loss` is how much nDCG@10 falls, `low` and `high` its 95 % bootstrap interval over queries; `kendall_tau` (tau-b)
    is the mean over queries; `speed` is the seconds of torch-fp32 over those of the backend, on the `threads` given.
    """

    collection: str
    split: str
    queries: int
    candidates: int
    ndcg_fp32: float
    ndcg: float
    loss: float
    low: float
    high: float
    p: float
    kendall_tau: float
    speed: float


@dataclass(frozen=True, slots=True)
class Record:
    """What `backend` cost exactly these `weights`; `runtime` names the versions it was measured with.

    The weights are those of the whole model, head included: what one head reads may be lost on another.
    """

    weights: str
    backend: BackendName
    runtime: str
    processor: str
    threads: int
    collections: tuple[Measured, ...]

    @property
    def acceptable(self) -> bool:
        """Whether it was measured, and the loss is small on every collection."""
        return bool(self.collections) and all(one.loss <= MOST_LOSS for one in self.collections)


def fingerprint(module: nn.Module, kind: str = "", dtype: torch.dtype | None = None) -> str:
    """Sixteen hex digits that change with any weight, whatever the weights are called, and with what they are for.

    With `dtype`, weights count as what they are in it, so that it is the same however they were loaded.
    """
    import torch

    digest = hashlib.sha256(kind.encode())
    for tensor in module.state_dict().values():
        if dtype is not None:
            tensor = tensor.to(dtype)
        digest.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def find(weights: str, backend: BackendName, model_folder: Path | None = None) -> Record | None:
    """The record of these weights: that of the model's folder, else of the package, else of this user's cache.

    A file that cannot be read is told of and passed over.
    """
    places = [] if model_folder is None else [model_folder / FILE]
    places += [*sorted(_SHIPPED.glob("*.json")), cached_file(weights)]
    for place in places:
        for record in _told(place):
            if record.weights == weights and record.backend == backend:
                return record
    return None


def cached_file(weights: str) -> Path:
    """Where this user's records of these weights are."""
    return cache_root() / "backends" / "records" / f"{weights}.json"


def shipped_file(name: str) -> Path:
    """Where the package keeps the records of the embedded model `name`."""
    return _SHIPPED / f"{name}.json"


def write(record: Record, path: Path) -> Record:
    """Put `record` into the file, in the place of that of the same weights and backend; whole or not at all.

    Returns what the file says of it now. What it said of other collections before is kept, where it was measured with
    the same versions on such a machine. Raises OSError, and ValueError for a file that holds something else.
    """
    others = read(path) if path.is_file() else ()
    kept = [one for one in others if (one.weights, one.backend) != (record.weights, record.backend)]
    for one in set(others).difference(kept):
        record = _together(one, record)
    rows = [asdict(one) for one in sorted((*kept, record), key=lambda one: (one.weights, one.backend))]
    write_whole(path, json.dumps({"records": rows}, indent=2, ensure_ascii=False) + "\n")
    return record


def read(path: Path) -> tuple[Record, ...]:
    """The records of a file. Raises OSError, and ValueError for a file that holds something else."""
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["records"]
        return tuple(_record(row) for row in rows)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: found no records of backends ({error}), expected what `cascade quantize` writes"
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Replace a file at once, making its folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}-", delete=False
    ) as part:
        part.write(text)
    try:
        Path(part.name).chmod(0o644)
        os.replace(part.name, path)
    except OSError:
        Path(part.name).unlink(missing_ok=True)
        raise


def _together(before: Record, now: Record) -> Record:
    if replace(before, collections=()) != replace(now, collections=()):
        return now
    measured = {(one.collection, one.split): one for one in (*before.collections, *now.collections)}
    return replace(now, collections=tuple(measured.values()))


def _told(path: Path) -> Iterable[Record]:
    if not path.is_file():
        return ()
    try:
        return read(path)
    except (OSError, ValueError) as error:
        log.warning("backend_records_unreadable", file=str(path), reason=str(error))
        return ()


def _record(row: dict[str, Any]) -> Record:
    if row["backend"] not in get_args(BackendName):
        raise ValueError(f"found backend {row['backend']!r}")
    measured = tuple(Measured(**one) for one in row.pop("collections"))
    return Record(**row, collections=measured)
