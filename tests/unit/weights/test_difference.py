"""A trained model comes back from its eight-bit difference within half a step."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.weights.difference import nearest_layers, pack, unpack, with_layers


def _matrix(seed: int, rows: int, columns: int, spread: float) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * spread


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(1, 8), st.floats(1e-6, 10.0), st.floats(1e-3, 10.0))
def test_every_weight_comes_back_within_half_a_scale(
    seed: int, rows: int, columns: int, change: float, size: float
) -> None:
    base = {"layer": _matrix(seed, rows, columns, size)}
    trained = {"layer": base["layer"] + _matrix(seed + 1, rows, columns, change)}
    packed = pack(trained, base)
    restored = unpack(packed, base)["layer"]
    moved = (trained["layer"] - base["layer"]).abs().amax(dim=1, keepdim=True)
    rounding = 1e-6 * (size + change) * 10  # of fp32 itself, when a small change is added to a large weight
    assert bool(((restored - trained["layer"]).abs() <= moved / 127 / 2 * 1.001 + rounding).all())


def test_tensors_that_did_not_change_are_not_kept() -> None:
    base = {"embeddings": _matrix(1, 4, 4, 1.0), "layer": _matrix(2, 4, 4, 1.0)}
    trained = {"embeddings": base["embeddings"].clone(), "layer": base["layer"] + 0.5}
    packed = pack(trained, base)
    assert set(packed) == {"layer.int8", "layer.scale"}
    assert torch.equal(unpack(packed, base)["embeddings"], base["embeddings"])


def test_what_differs_by_the_bases_rounding_alone_is_not_kept() -> None:
    words = _matrix(6, 4, 4, 1.0)
    base = {"words": words.half()}
    assert pack({"words": words}, base) == {}
    assert unpack({}, base)["words"] is base["words"]


def test_a_row_that_did_not_change_stays_exactly() -> None:
    base = {"layer": _matrix(3, 2, 4, 1.0)}
    trained = {"layer": base["layer"].clone()}
    trained["layer"][1] += 0.25
    restored = unpack(pack(trained, base), base)["layer"]
    assert torch.equal(restored[0], base["layer"][0])
    assert torch.allclose(restored[1], trained["layer"][1])


def test_a_new_head_is_kept_whole() -> None:
    head = {"classifier.weight": _matrix(4, 1, 4, 1.0)}
    packed = pack(head, {})
    assert packed["classifier.weight.fp16"].dtype == torch.float16
    assert torch.allclose(unpack(packed, {})["classifier.weight"], head["classifier.weight"], atol=1e-3)


def test_a_matrix_takes_a_byte_a_weight() -> None:
    packed = pack({"layer": _matrix(5, 64, 64, 1.0)}, {"layer": torch.zeros(64, 64)})
    size = sum(tensor.numel() * tensor.element_size() for tensor in packed.values())
    assert size == 64 * 64 + 64 * 4


def test_a_students_layers_are_told_by_what_they_are_near_to() -> None:
    base = {f"encoder.layer.{n}.weight": _matrix(n, 4, 4, 1.0) for n in range(12)} | {"word.weight": torch.zeros(2, 2)}
    student = with_layers(base, [11, 2])
    assert set(student) == {"encoder.layer.0.weight", "encoder.layer.1.weight", "word.weight"}
    learned = {name: tensor + 0.01 for name, tensor in student.items()}
    assert nearest_layers(learned, base) == [11, 2]
