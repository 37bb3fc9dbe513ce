"""Towers of other runtimes give the states of the model that they were converted from, for sequences of any length."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cascade.errors import ModelLoadError
from cascade.inference.towers import conversion, openvino_tower
from cascade.inference.towers.backbone import Backbone
from cascade.inference.towers.make import available, make_tower
from cascade.inference.towers.openvino_tower import OpenVinoTower
from cascade.inference.towers.records import fingerprint
from cascade.inference.towers.same_bits import SameBits
from cascade.inference.towers.strip import Strip
from cascade.inference.towers.torch_tower import TorchTower
from cascade.inference.towers.tower import BackendName, States, Tower
from tests.unit.inference.towers.conftest import read, sequence, strip

CONVERTED: list[BackendName] = [name for name in available("cpu") if name.startswith(("openvino", "onnx"))]
Made = Callable[[BackendName], Tower]


@pytest.fixture
def converted(made: Made) -> Made:
    """As `made`, a tower for all calls."""
    return cache(made)


@pytest.fixture
def made(tiny_backbone: Backbone, converted_cache: Path) -> Made:
    """The tower of a backend, converted once."""
    return lambda backend: make_tower(tiny_backbone, backend, read=read)


def test_the_runtimes_of_the_extras_are_tested_here() -> None:
    assert {"openvino-int8", "onnx-int8"} <= set(CONVERTED)


@pytest.mark.parametrize("backend", CONVERTED)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_states_are_those_of_the_model(
    tiny_backbone: Backbone, converted: Made, backend: BackendName, lengths: list[int]
) -> None:
    asked = strip(lengths)
    expected, found = TorchTower(tiny_backbone).states(asked), converted(backend).states(asked)
    assert found.shape == expected.shape
    assert found.dtype == np.dtype(np.float32)
    assert _cosine(expected, found) > (0.999 if backend == "openvino-bf16" else 0.9)


@pytest.mark.parametrize("backend", CONVERTED)
def test_one_at_a_time_states_are_the_same_bits_in_any_company(converted: Made, backend: BackendName) -> None:
    tower = SameBits(converted(backend))
    lengths = [3, 31, 8, 8, 60, 17]
    whole = strip(lengths)
    states = tower.states(whole)
    for row, (start, end) in enumerate(pairwise(whole.starts)):
        alone = tower.states(Strip.of([sequence(lengths[row], row)]))
        assert np.array_equal(alone, states[start:end])


@pytest.mark.parametrize("backend", CONVERTED)
def test_a_model_is_converted_once(made: Made, backend: BackendName) -> None:
    first = made(backend)
    with capture_logs() as told:
        second = made(backend)
    assert told == []
    asked = strip([5, 3])
    assert np.array_equal(first.states(asked), second.states(asked))


def test_nothing_but_the_model_is_left_of_a_conversion(made: Made, converted_cache: Path) -> None:
    for backend in CONVERTED:
        made(backend)
    kept = {path.name for folder in (converted_cache / "backends").iterdir() for path in folder.iterdir()}
    assert kept == {"model.xml", "model.bin", "model.onnx"}


def test_what_was_not_used_for_longest_is_let_go(own_cache: Path) -> None:
    import os

    def build(folder: Path) -> None:
        (folder / "model.onnx").write_text("weights", encoding="utf-8")

    for number in range(14):
        folder = conversion.converted("onnx-int8", f"{number:02}", build)
        os.utime(folder, (number, number))
        conversion.converted("onnx-int8", "00", build)
    other = conversion.converted("openvino-int8", "00", build)
    kept = sorted(path.name for path in other.parent.iterdir())
    assert kept == ["onnx-int8-00", *(f"onnx-int8-{number:02}" for number in range(3, 14)), "openvino-int8-00"]


def test_a_cache_that_cannot_be_written_is_told_of(
    tiny_backbone: Backbone, own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own_cache.write_text("a file where the folder would be", encoding="utf-8")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with capture_logs() as told:
        tower = make_tower(tiny_backbone, "onnx-int8")
    assert "backend_not_kept" in {one["event"] for one in told}
    assert tower.states(strip([4])).shape == (4, 16)


def test_a_conversion_in_a_cache_that_is_not_ours_is_used(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(folder: Path) -> None:
        (folder / "model.onnx").write_text("weights", encoding="utf-8")

    def refused(path: Path) -> None:
        raise PermissionError(f"{path} belongs to another user")

    first = conversion.converted("onnx-int8", "00", build)
    monkeypatch.setattr(Path, "touch", refused)
    with capture_logs() as told:
        assert conversion.converted("onnx-int8", "00", build) == first
    assert told == []


@pytest.mark.parametrize("backend", [name for name in CONVERTED if name != "openvino-int8"])
def test_a_conversion_that_cannot_be_read_is_forgotten(
    tiny_backbone: Backbone, own_cache: Path, backend: BackendName
) -> None:
    make_tower(tiny_backbone, backend)
    (folder,) = (own_cache / "backends").iterdir()
    for path in folder.iterdir():
        path.unlink()  # as what clears away old files does
    with pytest.raises(ModelLoadError, match="cannot be read"):
        make_tower(tiny_backbone, backend)
    assert make_tower(tiny_backbone, backend).states(strip([4])).shape == (4, 16)


def test_int8_ranges_need_texts(tiny_backbone: Backbone, own_cache: Path) -> None:
    with pytest.raises(ModelLoadError, match="no texts to observe"):
        make_tower(tiny_backbone, "openvino-int8")
    assert not list((own_cache / "backends").iterdir())


@pytest.mark.parametrize(
    ("backend", "package", "extra"),
    [("openvino-int8", "nncf", "openvino"), ("openvino-bf16", "openvino", "openvino"), ("onnx-int8", "onnx", "onnx")],
)
def test_a_runtime_that_is_not_installed_is_asked_for(
    tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch, backend: BackendName, package: str, extra: str
) -> None:
    monkeypatch.setattr(conversion, "find_spec", lambda name: None if name == package else object())
    assert backend not in available("cpu")
    with pytest.raises(ModelLoadError, match=rf"{package} is not installed; run pip install .*\[{extra}\]"):
        make_tower(tiny_backbone, backend)


def test_a_processor_without_bf16_is_told_of(tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_tower, "multiplies_bf16", lambda: False)
    with pytest.raises(ModelLoadError, match="does not multiply bfloat16"):
        make_tower(tiny_backbone, "openvino-bf16")


def test_a_conversion_that_is_wrong_is_refused_and_forgotten(
    tiny_backbone: Backbone, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noise(self: OpenVinoTower, asked: Strip) -> States:
        return np.random.default_rng(0).normal(size=(len(asked.ids), 16)).astype(np.float32)

    from cascade.inference.towers.onnx_tower import OnnxTower

    monkeypatch.setattr(OnnxTower, "states", noise)
    with pytest.raises(ModelLoadError, match="have a cosine of"):
        make_tower(tiny_backbone, "onnx-int8")
    assert not OnnxTower.is_kept(fingerprint(tiny_backbone))


class Untraceable(Backbone):
    """Its forward cannot be traced."""

    hidden, pad_id, bert = 4, 0, None

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(30, 4)

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, types: torch.Tensor, parts: torch.Tensor
    ) -> torch.Tensor:
        """Raises."""
        raise RuntimeError("no trace of it\nand a second line")


@pytest.mark.parametrize("backend", CONVERTED)
def test_a_model_that_cannot_be_converted_says_why(own_cache: Path, backend: BackendName) -> None:
    with pytest.raises(ModelLoadError, match="cannot be converted"):
        make_tower(Untraceable(), backend, read=read)


def test_the_libraries_report_to_nobody(made: Made) -> None:
    made("openvino-int8")
    assert sys.modules["openvino_telemetry"] is None


def _cosine(first: States, second: States) -> float:
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(axis=1) / norms).mean())
