"""What others use of the machine is what is left when our own is taken off."""

import pytest

from cascade.evaluate.machine import Used, describe, foreign_share


def test_others_use_what_we_do_not() -> None:
    before, after = Used(100.0, 10.0, 200.0), Used(115.0, 20.0, 220.0)
    assert foreign_share(before, after) == pytest.approx(5 / 20)


def test_what_is_not_known_is_none() -> None:
    assert foreign_share(None, Used(1.0, 1.0, 2.0)) is None
    assert foreign_share(Used(1.0, 1.0, 2.0), Used(1.0, 1.0, 2.0)) is None


def test_rounding_makes_no_share_negative() -> None:
    assert foreign_share(Used(100.0, 10.0, 200.0), Used(110.0, 20.1, 220.0)) == 0.0


def test_a_machine_is_described_with_its_versions() -> None:
    assert {"processor", "processors", "system", "python", "grpcio", "cascade"} <= describe("grpcio").keys()
