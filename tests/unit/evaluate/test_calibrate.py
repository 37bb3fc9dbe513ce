"""Maps from scores to probabilities are learnt from judgments and measured on queries held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cascade.config import Isotonic, Platt
from cascade.errors import InvalidInputError
from cascade.evaluate.calibrate import Judged, Method, calibrate, diagram, fit, judged_of, reliability


def drawn(slope: float = 1.5, offset: float = -1.0, queries: int = 60) -> Judged:
    """Documents that are relevant with the probability 1 / (1 + exp(-(slope * score + offset)))."""
    random = np.random.default_rng(4)
    scores = random.normal(0, 2, size=(queries, 30))
    relevant = random.random(scores.shape) < 1 / (1 + np.exp(-(slope * scores + offset)))
    return judged_of([(row.tolist(), truth.tolist()) for row, truth in zip(scores, relevant, strict=True)])


def test_platts_curve_is_found_again() -> None:
    found = fit(drawn(), "platt")
    assert isinstance(found, Platt)
    assert found.a == pytest.approx(1.5, abs=0.2)
    assert found.b == pytest.approx(-1.0, abs=0.2)


def test_isotonic_points_rise_and_are_never_certain() -> None:
    found = fit(drawn(), "isotonic")
    assert isinstance(found, Isotonic)
    assert 0 < found.y[0] < 0.1 < 0.9 < found.y[-1] < 1


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibrated_probabilities_are_truer_than_scores_taken_for_logits(method: Method) -> None:
    found = calibrate(drawn(slope=0.4, offset=-2.0), method)
    assert found.after.ece.high < found.before.ece.low
    assert found.after.brier.mean < found.base_rate.brier.mean < found.before.brier.mean
    assert found.after.log_loss.mean < found.before.log_loss.mean
    assert found.base_rate.ece.mean == pytest.approx(0.0, abs=1e-9)
    assert (found.queries, found.documents) == (60, 1800)
    assert sum(b.count for b in found.after.bins) == 1800


def test_reliability_is_what_its_formulas_say() -> None:
    judged = judged_of([([0.0, 0.0], [True, False]), ([0.0, 0.0], [False, False])])
    found = reliability(np.full(4, 0.5), judged, seed=0, resamples=50)
    assert found.brier.mean == pytest.approx(0.25)
    assert found.log_loss.mean == pytest.approx(np.log(2))
    assert found.ece.mean == pytest.approx(0.25)
    assert [(b.probability, b.share, b.count) for b in found.bins] == [(0.5, 0.25, 4)]


def test_too_little_to_learn_from_is_said_with_figures() -> None:
    with pytest.raises(InvalidInputError, match="found 1 relevant and 29 other documents of 1 queries"):
        calibrate(judged_of([([float(i) for i in range(30)], [i == 29 for i in range(30)])]), "platt")


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_scores_that_fall_with_relevance_cannot_be_calibrated(method: Method) -> None:
    judged = drawn()
    with pytest.raises(InvalidInputError, match="nothing to calibrate"):
        fit(Judged(-judged.scores, judged.relevant, judged.query), method)


def test_the_reliability_diagram_is_a_picture(tmp_path: Path) -> None:
    diagram(calibrate(drawn(), "platt"), "tiny", tmp_path / "d.png")
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")
