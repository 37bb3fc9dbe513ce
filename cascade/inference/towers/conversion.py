"""Models converted for other runtimes: made once, proven equal to what they were made of, and kept on disk."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from cascade.errors import ModelLoadError
from cascade.inference.towers.strip import Strip, Tokens
from cascade.inference.towers.tower import BackendName, States, Tower
from cascade.weights import cache_root
from cascade.weights.cache import ensure

if TYPE_CHECKING:
    from torch import Tensor

    from cascade.inference.towers.backbone import Backbone

log = structlog.get_logger()

INPUTS = ("ids", "positions", "types", "parts")
_REVISION = 1
"""Of this code: what another one converted is converted again."""
_SHELF = "backends"
_MOST_KEPT = 12
"""Models of a backend; the least recently used are let go, and converted again when they are wanted."""


def missing(packages: Sequence[str]) -> str | None:
    """The first of the packages that is not installed."""
    return next((name for name in packages if find_spec(name) is None), None)


def require(packages: Sequence[str], backend: BackendName, extra: str) -> None:
    """Raises ModelLoadError, with the command that installs them, where one of the packages is missing."""
    if (name := missing(packages)) is not None:
        command = f'pip install "cascade-ranking[{extra}]"'
        raise ModelLoadError(backend, f"the package {name} is not installed; run {command}, or choose another backend")


def kept(weights: str, backend: BackendName, packages: Sequence[str]) -> str:
    """The name under which the model with these weights is kept, as these versions of the packages convert it."""
    versions = [f"{name} {version(name)}" for name in sorted({*packages, "torch"})]
    return hashlib.sha256(repr((weights, backend, versions, _REVISION)).encode()).hexdigest()[:16]


def is_kept(backend: BackendName, key: str) -> bool:
    """Whether the model was converted before."""
    return (cache_root() / _SHELF / f"{backend}-{key}").is_dir()


def converted(backend: BackendName, key: str, build: Callable[[Path], None]) -> Path:
    """The folder that `build` fills, from the cache where it was before.

    Where the cache cannot be written, a folder of this process alone, which is told of.
    """
    try:
        folder = ensure(cache_root(), backend, key, build, shelf=_SHELF)
    except OSError as error:
        log.warning("backend_not_kept", backend=backend, reason=str(error))
        folder = Path(tempfile.mkdtemp(prefix=f"cascade-{backend}-"))
        atexit.register(discard, folder)
        build(folder)
        return folder
    with suppress(OSError):  # it may be another user's, or another process sweeps too; it is used all the same
        folder.touch()  # the time of its last use
        _sweep(folder.parent, backend)
    return folder


def _sweep(shelf: Path, backend: BackendName) -> None:
    """Let go what was not used for longest: every training makes new weights, and a conversion may be large."""
    folders = sorted(shelf.glob(f"{backend}-*"), key=lambda folder: -folder.stat().st_mtime)
    for folder in folders[_MOST_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def discard(folder: Path) -> None:
    """Forget a conversion that proved wrong."""
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def read_from(folder: Path, backend: BackendName) -> Iterator[None]:
    """Raises ModelLoadError where what was kept cannot be read, and forgets it: the next load converts it again."""
    try:
        yield
    except Exception as error:  # whatever a runtime raises of files that are missing or not whole
        discard(folder)
        last = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise ModelLoadError(backend, f"its converted model cannot be read ({last}); load it again") from error


def example() -> tuple[Tensor, ...]:
    """What a backbone is traced with: two sequences, one of them padded."""
    import torch

    ids, positions, parts = torch.ones(2, 8, dtype=torch.long), torch.arange(8).repeat(2, 1), torch.zeros(2, 8).long()
    parts[:, 4:] = 1
    parts[1, 6:] = -1
    return ids, positions, torch.zeros_like(ids), parts


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings that a library gives of its own use of another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def converting(backend: BackendName) -> Iterator[None]:
    """Raises ModelLoadError where the model cannot be converted."""
    try:
        yield
    except Exception as error:  # whatever tracing the code of any library's model raises
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelLoadError(backend, f"the model cannot be converted ({first}); choose another backend") from error


def check(tower: Tower, backbone: Backbone, *, least: float) -> None:
    """Raises ModelLoadError where the tower's states are not those of the backbone.

    Told by the mean cosine of states of sequences of other shapes than those of the trace, `least` at the least.
    """
    import torch

    strip = Strip.of([Tokens.single([1 + (7 * row + 3 * i) % 20 for i in range(3 + 5 * row)]) for row in range(4)])
    expected: list[States] = []
    with torch.inference_mode():
        device = next(backbone.parameters()).device
        for start, end in zip(strip.starts[:-1], strip.starts[1:], strict=True):
            rows = (values[None, start:end] for values in (strip.ids, strip.positions, strip.types, strip.parts))
            states = backbone(*(torch.from_numpy(row).to(device) for row in rows))
            expected.append(states[0].float().cpu().numpy())
    reference, found = np.concatenate(expected), tower.states(strip)
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(found, axis=1)
    cosine = float(np.mean((reference * found).sum(axis=1) / np.maximum(norms, 1e-12)))
    if not cosine >= least:
        reason = f"the converted model's states have a cosine of {cosine:.3f} with its own, expected {least} at least"
        raise ModelLoadError(tower.backend, f"{reason}; choose another backend")
