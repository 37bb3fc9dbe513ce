"""A tile is the product of eight rows and thirty-two columns."""

import numpy as np
import numpy.typing as npt

from cascade.inference.towers.native.machine_code import kernel
from cascade.inference.towers.native.tile import multiply_tile

Floats = npt.NDArray[np.float32]


@kernel
def _product(a: Floats, at: int, b: Floats, c: Floats) -> None:
    multiply_tile(a, at * a.shape[1], a.shape[1], b, 0, b.shape[1], c, 0, c.shape[1], b.shape[0])


def test_a_tile_is_a_product_of_matrices() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((10, 7), (7, 40)))
    c = np.full((8, 33), 5, dtype=np.float32)

    _product(a, 2, b, c)

    np.testing.assert_allclose(c[:, :32], a[2:] @ b[:, :32], rtol=1e-5, atol=1e-6)
    assert (c[:, 32] == 5).all()
