"""The elementary functions are those of the library, to their stated precision."""

from math import erf

import numpy as np
import numpy.typing as npt
import pytest

from cascade.inference.towers.native.elementary import exponential, normal_share, rounded, rounded_above
from cascade.inference.towers.native.machine_code import kernel

Floats = npt.NDArray[np.float32]


@kernel
def _exponentials(x: Floats, out: Floats) -> None:
    for k in range(len(x)):
        out[k] = exponential(x[k])


@kernel
def _shares(x: Floats, out: Floats) -> None:
    for k in range(len(x)):
        out[k] = normal_share(x[k])


def test_the_exponential_is_exact_to_three_parts_in_ten_million() -> None:
    x = np.linspace(-80, 80, 100_001, dtype=np.float32)
    found = np.empty_like(x)

    _exponentials(x, found)

    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=1e-5)
    near = abs(x) < 2
    np.testing.assert_allclose(found[near], np.exp(x[near].astype(np.float64)), rtol=4e-7)


def test_far_below_zero_the_exponential_is_as_good_as_nothing() -> None:
    found = np.empty(2, dtype=np.float32)

    _exponentials(np.array([-1e4, -np.inf], dtype=np.float32), found)

    assert (found < 1e-37).all()


def test_the_share_is_that_of_the_normal_distribution() -> None:
    x = np.linspace(-8, 8, 20_001, dtype=np.float32)
    found = np.empty_like(x)

    _shares(x, found)

    exact = np.array([0.5 + 0.5 * erf(one / np.sqrt(2)) for one in x])
    np.testing.assert_allclose(found, exact, atol=5e-6)


def test_rounding_keeps_the_largest_and_every_sign() -> None:
    x = np.array([0.0, -2.54, 1.0, 2.0], dtype=np.float32)
    out = np.empty(4, dtype=np.int8)

    scale = rounded(x, out)

    assert out.tolist() == [0, -127, 50, 100]
    assert scale == np.float32(2.54) / 127


def test_nothing_but_zeros_rounds_to_zeros() -> None:
    out = np.ones(3, dtype=np.int8)

    assert rounded(np.zeros(3, dtype=np.float32), out) == np.float32(1) / 127
    assert out.tolist() == [0, 0, 0]


def test_what_lies_above_a_floor_is_rounded_with_all_the_multiples() -> None:
    x = np.array([-0.1, 0.0, 1.0, 4.9], dtype=np.float32)
    out = np.empty(4, dtype=np.int8)

    scale, offset = rounded_above(x, np.float32(0.2), out)

    assert scale == pytest.approx(5.1 / 254)
    np.testing.assert_allclose(out * scale + offset, x, atol=scale / 2 + 1e-6)
    assert out[3] == 127


def test_a_floor_deeper_than_all_numbers_reach_is_not_kept_room_for() -> None:
    x = np.array([-0.01, 0.0, 0.005], dtype=np.float32)
    out = np.empty(3, dtype=np.int8)

    scale, offset = rounded_above(x, np.float32(0.2), out)

    assert (out.tolist(), offset) == ([-127, 0, 64], 0.0)
    assert scale == pytest.approx(0.01 / 127)
