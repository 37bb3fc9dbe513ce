"""`auto` takes the fastest of the backends whose quality is known, and remembers it."""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from cascade.errors import ModelLoadError
from cascade.inference.towers import choice
from cascade.inference.towers.backbone import Backbone
from cascade.inference.towers.choice import choose, seconds, timing_strip
from cascade.inference.towers.make import available
from cascade.inference.towers.records import Measured, Record, cached_file, fingerprint, write
from cascade.inference.towers.strip import Strip
from cascade.inference.towers.torch_tower import TorchTower
from cascade.inference.towers.tower import BackendName, States, Tower
from tests.unit.inference.towers.conftest import read, strip

Speeds = dict[BackendName, float]


class Timed:
    """States of zeros."""

    same_bits = False

    def __init__(self, backend: BackendName) -> None:
        self.backend = backend

    def states(self, strip: Strip) -> States:
        """As promised by `Tower`."""
        return np.zeros((len(strip.ids), 16), dtype=np.float32)


class Broken(Timed):
    """Fails when it is used."""

    def states(self, strip: Strip) -> States:
        """Never."""
        raise RuntimeError("no such instruction")


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> Speeds:
    """The seconds that each backend takes; those that are here are those that are named."""
    found: Speeds = {"torch-fp32": 4.0, "torch-bf16": 2.0}
    monkeypatch.setattr(choice, "available", lambda device: tuple(found))
    monkeypatch.setattr(choice, "make_tower", lambda backbone, backend, **_: Timed(backend))
    monkeypatch.setattr(choice, "seconds", lambda towers, strip: {name: found[name] for name in towers})
    return found


@pytest.fixture
def record(tiny_backbone: Backbone) -> Callable[[BackendName, float], None]:
    """Writes down that a backend costs the tiny model so much."""

    def one(backend: BackendName, loss: float) -> None:
        measured = Measured("tea", "test", 9, 9, 0.5, 0.5 - loss, loss, loss, loss, 1.0, 1.0, 2.0)
        found = Record(fingerprint(tiny_backbone), backend, "any", "any", 1, (measured,))
        write(found, cached_file(found.weights))

    return one


def test_the_fastest_is_taken(tiny_backbone: Backbone, speeds: Speeds) -> None:
    assert choose(tiny_backbone, "auto", device="cpu").backend == "torch-bf16"


def test_what_is_hardly_faster_is_not_worth_being_less_exact(tiny_backbone: Backbone, speeds: Speeds) -> None:
    speeds["torch-bf16"] = 3.9
    assert choose(tiny_backbone, "auto", device="cpu").backend == "torch-fp32"


def test_the_choice_is_remembered(tiny_backbone: Backbone, speeds: Speeds) -> None:
    choose(tiny_backbone, "auto", device="cpu")
    speeds["torch-fp32"] = 1.0
    with capture_logs() as told:
        assert choose(tiny_backbone, "auto", device="cpu").backend == "torch-bf16"
    assert [(one["event"], one["remembered"]) for one in told] == [("backend_chosen", True)]


@pytest.mark.parametrize("changed", [{"threads": 2}, {"deterministic": True}])
def test_what_was_measured_otherwise_is_measured_again(
    tiny_backbone: Backbone, speeds: Speeds, changed: dict[str, Any]
) -> None:
    choose(tiny_backbone, "auto", device="cpu")
    speeds["torch-fp32"] = 1.0
    assert choose(tiny_backbone, "auto", device="cpu", **changed).backend == "torch-fp32"


def test_the_table_is_told_and_kept(tiny_backbone: Backbone, speeds: Speeds, own_cache: Path) -> None:
    with capture_logs() as told:
        choose(tiny_backbone, "auto", device="cpu", name="embedded:tiny")
    (event,) = told
    assert (event["event"], event["model"], set(event["tokens_per_second"])) == (
        "backend_chosen",
        "embedded:tiny",
        {"torch-fp32", "torch-bf16"},
    )
    (kept,) = (own_cache / "backends" / "choices").iterdir()
    assert json.loads(kept.read_text(encoding="utf-8"))["tokens_per_second"] == event["tokens_per_second"]


@pytest.mark.parametrize("text", ["", "{", "[]", '"torch-fp32"', '{"backend": 3}', '{"backend": "torch-fp64"}'])
def test_a_broken_memory_is_measured_again(tiny_backbone: Backbone, speeds: Speeds, own_cache: Path, text: str) -> None:
    choose(tiny_backbone, "auto", device="cpu")
    (kept,) = (own_cache / "backends" / "choices").iterdir()
    kept.write_text(text, encoding="utf-8")
    assert choose(tiny_backbone, "auto", device="cpu").backend == "torch-bf16"
    assert json.loads(kept.read_text(encoding="utf-8"))["backend"] == "torch-bf16"


def test_a_memory_that_cannot_be_written_is_told_of(tiny_backbone: Backbone, speeds: Speeds, own_cache: Path) -> None:
    own_cache.write_text("a file where the folder would be", encoding="utf-8")
    with capture_logs() as told:
        assert choose(tiny_backbone, "auto", device="cpu").backend == "torch-bf16"
    assert "backend_choice_not_kept" in {one["event"] for one in told}


def test_int8_is_not_taken_unmeasured(tiny_backbone: Backbone, speeds: Speeds) -> None:
    speeds["native-int8"] = 0.1
    assert choose(tiny_backbone, "auto", device="cpu").backend == "torch-bf16"


@pytest.mark.parametrize(("loss", "taken"), [(0.002, "native-int8"), (0.0021, "torch-bf16"), (-0.01, "native-int8")])
def test_int8_is_taken_where_it_was_measured_to_cost_next_to_nothing(
    tiny_backbone: Backbone,
    speeds: Speeds,
    record: Callable[[BackendName, float], None],
    loss: float,
    taken: BackendName,
) -> None:
    speeds["native-int8"] = 0.1
    record("native-int8", loss)
    assert choose(tiny_backbone, "auto", device="cpu").backend == taken


@pytest.mark.parametrize(("loss", "told"), [(None, True), (0.01, True), (0.001, False)])
def test_int8_by_name_is_taken_and_its_doubtful_quality_told(
    tiny_backbone: Backbone,
    speeds: Speeds,
    record: Callable[[BackendName, float], None],
    loss: float | None,
    told: bool,
) -> None:
    if loss is not None:
        record("onnx-int8", loss)
    with capture_logs() as events:
        assert choose(tiny_backbone, "onnx-int8", device="cpu").backend == "onnx-int8"
    assert ("backend_quality_doubtful" in {one["event"] for one in events}) == told


def test_a_deterministic_tower_keeps_its_bits(tiny_backbone: Backbone, speeds: Speeds) -> None:
    assert choose(tiny_backbone, "auto", device="cpu", deterministic=True).same_bits
    assert choose(tiny_backbone, "torch-fp32", device="cpu", deterministic=True).same_bits
    assert not choose(tiny_backbone, "auto", device="cpu").same_bits


def test_what_cannot_be_made_is_left_out_and_told(
    tiny_backbone: Backbone, speeds: Speeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def makes(backbone: Backbone, backend: BackendName, **_: object) -> Tower:
        if backend == "torch-bf16":
            raise ModelLoadError(backend, "not today")
        return Timed(backend)

    monkeypatch.setattr(choice, "make_tower", makes)
    with capture_logs() as told:
        assert choose(tiny_backbone, "auto", device="cpu").backend == "torch-fp32"
    assert _event(told, "backend_chosen")["left_out"] == {"torch-bf16": "backend torch-bf16: not today"}


def test_what_fails_in_its_own_library_is_left_out_and_told(
    tiny_backbone: Backbone, speeds: Speeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def makes(backbone: Backbone, backend: BackendName, **_: object) -> Tower:
        if backend == "torch-bf16":
            raise RuntimeError("the file is not whole\nat line 7")
        return Broken(backend) if backend == "openvino-bf16" else Timed(backend)

    speeds["openvino-bf16"] = 1.0
    monkeypatch.setattr(choice, "_CONVERTED_SOON", range(1_000_000))
    monkeypatch.setattr(choice, "make_tower", makes)
    with capture_logs() as told:
        assert choose(tiny_backbone, "auto", device="cpu").backend == "torch-fp32"
    assert _event(told, "backend_chosen")["left_out"] == {
        "torch-bf16": "backend torch-bf16: RuntimeError: the file is not whole",
        "openvino-bf16": "backend openvino-bf16: RuntimeError: no such instruction",
    }


def test_a_backend_by_name_that_cannot_be_is_an_error_with_the_models_name(tiny_backbone: Backbone) -> None:
    with pytest.raises(ModelLoadError, match=r"'embedded:tiny' .* backend native-int8: found the device meta"):
        choose(tiny_backbone, "native-int8", device="meta", name="embedded:tiny")


def test_elsewhere_than_on_a_processor_nothing_is_measured(
    tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[BackendName, str]] = []

    def makes(backbone: Backbone, backend: BackendName, *, device: str, **_: object) -> Tower:
        made.append((backend, device))
        return Timed(backend)

    monkeypatch.setattr(choice, "make_tower", makes)
    choose(tiny_backbone, "auto", device="mps")
    assert made == [("torch-fp32", "mps")]


def test_a_compiled_model_is_never_chosen_for_you(tiny_backbone: Backbone, speeds: Speeds) -> None:
    speeds["torch-compiled"] = 0.1
    assert choose(tiny_backbone, "auto", device="cpu").backend == "torch-bf16"


def test_compiling_needs_a_compiler(tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "torch-compiled" not in available("cpu")
    with pytest.raises(ModelLoadError, match="no C\\+\\+ compiler"):
        choose(tiny_backbone, "torch-compiled", device="cpu")


def test_every_tower_is_timed(tiny_backbone: Backbone) -> None:
    towers: dict[BackendName, Tower] = {
        "torch-fp32": TorchTower(tiny_backbone),
        "torch-bf16": TorchTower(tiny_backbone, "torch-bf16"),
    }
    took = seconds(towers, strip([3, 9]))
    assert set(took) == set(towers)
    assert all(0 < one < np.inf for one in took.values())


def test_it_is_timed_on_texts_where_it_is_known_how_they_are_read(tiny_backbone: Backbone) -> None:
    natural, drawn = timing_strip(tiny_backbone, read), timing_strip(tiny_backbone, None)
    assert len(natural.ids) <= 512
    assert len(drawn.ids) <= 512
    assert len(natural.lengths) > 6
    assert natural.lengths.max() > 3 * natural.lengths.min()


def _event(told: list[MutableMapping[str, Any]], name: str) -> MutableMapping[str, Any]:
    return next(one for one in told if one["event"] == name)
