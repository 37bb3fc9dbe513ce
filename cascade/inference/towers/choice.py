"""Which backend an encoder runs on: the one asked for, or the fastest here of those whose quality is known."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from cascade.errors import ModelLoadError
from cascade.inference.device import pick_device
from cascade.inference.towers import records
from cascade.inference.towers.make import EXACT, ROUNDED, available, make_tower
from cascade.inference.towers.natural_texts import Reader, natural_strips
from cascade.inference.towers.same_bits import SameBits
from cascade.inference.towers.strip import Strip, Tokens
from cascade.inference.towers.tower import Backend, BackendName, Tower
from cascade.weights import cache_root

if TYPE_CHECKING:
    from cascade.inference.towers.backbone import Backbone

log = structlog.get_logger()

__all__ = ["available", "choose", "make_tower", "seconds", "timing_strip"]

_ROUNDS = 5
_MOST_SECONDS = 5.0
"""Of all measuring together; one round is measured in any case, and a round that was begun is ended."""
_NO_GAIN = 1.05
"""What is faster by less than this is not worth being less exact."""
_CONVERTED_SOON = range(1_000_000, 60_000_000)
"""Weights of a model that OpenVINO converts in a few seconds; with fewer there is nothing to win."""
_VERSIONS = ("torch", "openvino", "nncf", "onnxruntime", "onnx", "numba", "cascade-ranking")
_REVISION = 4
"""Of the towers: what was measured of others is measured again."""


@dataclass(frozen=True, slots=True)
class _Model:
    """What is chosen for, and where."""

    backbone: Backbone
    name: str
    folder: Path | None
    weights: str
    whole: str
    device: str
    threads: int
    read: Reader | None
    deterministic: bool

    def tower(self, backend: BackendName, proof: Strip | None = None) -> Tower:
        """One that has read `proof`. Raises ModelLoadError."""
        try:
            made = make_tower(
                self.backbone,
                backend,
                device=self.device,
                threads=self.threads,
                weights=self.weights,
                read=self.read,
            )
            if proof is not None:
                made.states(proof)
        except Exception as error:
            # Runtimes raise anything: a kept file that is not whole, a full disk, an instruction that is missing here.
            found = f"{type(error).__name__}: {error}".splitlines()[0]
            reason = error.reason if isinstance(error, ModelLoadError) else found
            raise ModelLoadError(self.name, f"backend {backend}: {reason}") from error
        return SameBits(made) if self.deterministic and not made.same_bits else made


def choose(
    backbone: Backbone,
    wanted: Backend,
    *,
    deterministic: bool = False,
    device: str = "auto",
    threads: int = 1,
    model_folder: str | Path | None = None,
    read: Reader | None = None,
    name: str | None = None,
    whole: str | None = None,
) -> Tower:
    """The tower of `wanted`; for `auto` the fastest here, measured once and remembered.

    A backend that rounds to int8 is taken by `auto` only where a record says that it costs exactly these weights
    nothing that counts; asked for by name without one, it is taken and that is told. `deterministic` gives a tower
    with `same_bits`. `name` is that of the model in messages, `whole` its fingerprint with its head, which records
    go by. Raises ModelLoadError where `wanted` cannot be.
    """
    folder = None if model_folder is None else Path(model_folder)
    device = pick_device(device)
    weights = records.fingerprint(backbone)
    named = name or str(folder or "model")
    model = _Model(backbone, named, folder, weights, whole or weights, device, threads, read, deterministic)
    if wanted != "auto":
        tower = model.tower(wanted)
        if wanted in ROUNDED and not _acceptable(model, wanted):
            known = records.find(model.whole, wanted, folder)
            losses = {one.collection: one.loss for one in known.collections} if known else {}
            log.warning("backend_quality_doubtful", model=named, backend=wanted, measured=bool(known), losses=losses)
        return tower
    candidates = _candidates(model)
    if len(candidates) == 1:
        return model.tower(candidates[0])
    facts = _facts(model, candidates)
    place = cache_root() / "backends" / "choices" / f"{_key(facts)}.json"
    if (remembered := _remembered(place, candidates)) is not None:
        try:
            tower = model.tower(remembered)
        except ModelLoadError as error:
            log.warning("backend_not_as_remembered", model=named, backend=remembered, reason=error.reason)
        else:
            log.info("backend_chosen", model=named, backend=remembered, remembered=True)
            return tower
    return _measured(model, candidates, facts, place)


def timing_strip(backbone: Backbone, read: Reader | None) -> Strip:
    """Sequences of natural lengths, about as many as a core reads in a tenth of a second."""
    largest = max((tensor.numel() for tensor in backbone.parameters()), default=0)  # the words, which are looked up
    weights = sum(tensor.numel() for tensor in backbone.parameters()) - largest
    most = int(np.clip(7.5e9 / max(weights, 1), 128, 512))
    if read is not None:
        return natural_strips(read, most_tokens=most)[0]
    lengths = np.random.default_rng(0).integers(8, 128, size=24)
    count = max(1, int((np.cumsum(lengths) <= most).sum()))
    return Strip.of([Tokens.single([1 + i % 20 for i in range(length)]) for length in lengths[:count]])


def seconds(towers: Mapping[BackendName, Tower], strip: Strip) -> dict[BackendName, float]:
    """The least that each took for the strip, in turns, after one that does not count."""
    took: dict[BackendName, float] = {}
    ends = time.perf_counter() + _MOST_SECONDS
    for tower in towers.values():
        tower.states(strip)
    for number in range(_ROUNDS):
        if number and time.perf_counter() > ends:
            break
        for name, tower in towers.items():
            start = time.perf_counter()
            tower.states(strip)
            took[name] = min(took.get(name, np.inf), time.perf_counter() - start)
    return took


def _candidates(model: _Model) -> tuple[BackendName, ...]:
    """What `auto` may take, the more exact before the less."""
    here = available(model.device)
    if model.device != "cpu":
        return ("torch-bf16",) if "torch-bf16" in here else ("torch-fp32",)
    found: list[BackendName] = [name for name in EXACT if name in here and name.startswith("torch-")]
    found = [name for name in found if name != "torch-compiled"]  # which takes longer than it wins back
    if "openvino-bf16" in here and _soon(model):
        found.append("openvino-bf16")
    for name in ROUNDED:
        fits = name != "native-int8" or model.backbone.bert is not None
        if name in here and fits and _acceptable(model, name):
            found.append(name)
    return tuple(found)


def _soon(model: _Model) -> bool:
    from cascade.inference.towers.openvino_tower import OpenVinoTower

    soon = sum(tensor.numel() for tensor in model.backbone.parameters()) in _CONVERTED_SOON
    return soon or OpenVinoTower.is_kept("openvino-bf16", model.weights)


def _acceptable(model: _Model, backend: BackendName) -> bool:
    record = records.find(model.whole, backend, model.folder)
    return record is not None and record.acceptable


def _measured(model: _Model, candidates: tuple[BackendName, ...], facts: dict[str, Any], place: Path) -> Tower:
    towers: dict[BackendName, Tower] = {}
    problems: dict[str, str] = {}
    strip = timing_strip(model.backbone, model.read)
    for name in candidates:
        try:
            towers[name] = model.tower(name, strip)
        except ModelLoadError as error:
            problems[name] = error.reason
    if not towers:
        raise ModelLoadError(model.name, "; ".join(problems.values()))
    took = seconds(towers, strip)
    best = min(took.values())
    chosen = next(name for name in candidates if name in took and took[name] <= best * _NO_GAIN)
    table = {name: round(len(strip.ids) / one) for name, one in took.items()}
    log.info(
        "backend_chosen",
        model=model.name,
        backend=chosen,
        remembered=False,
        tokens_per_second=table,
        **({"left_out": problems} if problems else {}),
    )
    told = {"backend": chosen, "tokens_per_second": table, "left_out": problems, "facts": facts}
    try:
        records.write_whole(place, json.dumps(told, indent=2) + "\n")
    except OSError as error:
        log.warning("backend_choice_not_kept", model=model.name, file=str(place), reason=str(error))
    return towers[chosen]


def _remembered(place: Path, candidates: tuple[BackendName, ...]) -> BackendName | None:
    """What was chosen before, None where nothing was or the file is not whole."""
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("backend_choice_unreadable", file=str(place), reason=str(error))
        return None
    found = told.get("backend") if isinstance(told, dict) else None
    return next((name for name in candidates if name == found), None)


def _facts(model: _Model, candidates: tuple[BackendName, ...]) -> dict[str, Any]:
    """All that a measurement depends on."""
    return {
        "weights": model.weights,
        "candidates": list(candidates),
        "deterministic": model.deterministic,
        "device": model.device,
        "threads": model.threads,
        "processor": processor(),
        "versions": {name: found for name in _VERSIONS if (found := installed(name))},
        "revision": _REVISION,
    }


def _key(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def installed(package: str) -> str:
    """Its version, empty where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def runtime(backend: BackendName) -> str:
    """The versions of what runs it, as in 'openvino 2026.4, nncf 3.4'."""
    packages = {
        "native": ("cascade-ranking", "torch", "numba"),
        "openvino": ("openvino", "nncf"),
        "onnx": ("onnxruntime", "onnx"),
    }
    used = packages.get(backend.partition("-")[0], ("torch",))
    return ", ".join(f"{name} {installed(name)}" for name in used)


@cache
def processor() -> str:
    """What this machine's processor is called."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
