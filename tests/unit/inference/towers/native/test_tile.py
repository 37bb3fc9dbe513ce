"""A tile is the product of eight rows and thirty-two columns, of floats or of pairs of them."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from cascade.inference.towers.native.machine_code import kernel
from cascade.inference.towers.native.tile import multiplies_pairs, multiply_tile, multiply_tile_of_pairs

Floats = npt.NDArray[np.float32]
Pairs = npt.NDArray[np.int32]


@kernel
def _product(a: Floats, at: int, b: Floats, c: Floats) -> None:
    multiply_tile(a, at * a.shape[1], a.shape[1], b, 0, b.shape[1], c, 0, c.shape[1], b.shape[0])


@kernel
def _product_of_pairs(a: Pairs, at: int, b: Pairs, c: Floats) -> None:
    multiply_tile_of_pairs(a, at * a.shape[1], a.shape[1], b, 0, b.shape[1], c, 0, c.shape[1], b.shape[0])


def test_a_tile_is_a_product_of_matrices() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((10, 7), (7, 40)))
    c = np.full((8, 33), 5, dtype=np.float32)

    _product(a, 2, b, c)

    np.testing.assert_allclose(c[:, :32], a[2:] @ b[:, :32], rtol=1e-5, atol=1e-6)
    assert (c[:, 32] == 5).all()


def test_a_tile_of_pairs_is_a_product_of_matrices_twice_as_deep() -> None:
    if not multiplies_pairs():
        return  # nothing of it is ever run then
    torch.manual_seed(0)
    a, b = torch.randn(10, 14).bfloat16(), torch.randn(14, 40).bfloat16()
    pairs = b.view(7, 2, 40).transpose(1, 2).contiguous()  # the rows 2k and 2k + 1, element by element
    c = np.full((8, 33), 5, dtype=np.float32)

    _product_of_pairs(a.view(torch.int32).numpy(), 2, pairs.view(torch.int32).numpy()[:, :, 0], c)

    np.testing.assert_allclose(c[:, :32], (a[2:].float() @ b[:, :32].float()).numpy(), rtol=1e-5, atol=1e-5)
    assert (c[:, 32] == 5).all()


@pytest.mark.parametrize(("features", "able"), [("+avx2,+avx512bf16", True), ("+avx2,-avx512bf16", False)])
def test_what_is_compiled_for_decides_whether_pairs_are_multiplied(
    features: str, able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.core.config.CPU_FEATURES", features)

    assert multiplies_pairs() is able
