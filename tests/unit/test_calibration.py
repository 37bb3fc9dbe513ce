"""Scores become probabilities, and the order stays."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from cascade.calibration import probability
from cascade.config import Isotonic, Platt

PLATT = Platt(method="platt", a=2.0, b=-1.0)
ISOTONIC = Isotonic(method="isotonic", x=(-1.0, 0.0, 2.0), y=(0.1, 0.1, 0.9))


def test_platt_is_the_logistic_function_and_never_overflows() -> None:
    assert probability(PLATT, 0.5) == 0.5
    assert probability(PLATT, 1.0) == pytest.approx(1 / (1 + np.exp(-1)))
    assert (probability(PLATT, -1e300), probability(PLATT, 1e300)) == (0.0, 1.0)


def test_isotonic_goes_in_lines_between_its_points_and_stays_at_its_ends() -> None:
    assert [probability(ISOTONIC, s) for s in (-9.0, -1.0, -0.5, 0.0, 2.0, 9.0)] == [0.1, 0.1, 0.1, 0.1, 0.9, 0.9]
    assert probability(ISOTONIC, 1.0) == pytest.approx(0.5)
    assert probability(Isotonic(method="isotonic", x=(3.0,), y=(0.4,)), -7.0) == 0.4


@pytest.mark.parametrize("calibration", [PLATT, ISOTONIC])
def test_a_higher_score_is_never_less_likely_relevant(calibration: Platt | Isotonic) -> None:
    scores = np.sort(np.random.default_rng(0).normal(0, 3, 2000))
    found = [probability(calibration, float(s)) for s in scores]
    assert found == sorted(found)
    assert 0 <= found[0] <= found[-1] <= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "isotonic", "x": (0.0, 1.0), "y": (0.5, 0.4)},
        {"method": "isotonic", "x": (1.0, 1.0), "y": (0.1, 0.4)},
        {"method": "isotonic", "x": (1.0,), "y": (0.1, 0.4)},
    ],
)
def test_points_that_do_not_rise_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Isotonic.model_validate(fields)


def test_a_slope_that_falls_is_refused() -> None:
    with pytest.raises(ValidationError):
        Platt(method="platt", a=-1.0, b=0.0)


def test_what_a_setting_was_measured_by_is_no_part_of_what_it_means() -> None:
    told = PLATT.model_copy(update={"evidence": {"queries": 60}})
    assert told.model_dump_json() == PLATT.model_dump_json()
