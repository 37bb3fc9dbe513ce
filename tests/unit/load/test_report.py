"""A report says its figures, whether they are valid, and what they rest on."""

import json

from hdrh.histogram import HdrHistogram
from rich.console import Console

from cascade.load import tables
from cascade.load.reply import Outcome
from cascade.load.report import Row, report
from tests.unit.load.conftest import MakePhase, MakeReply


def test_a_figure_that_could_not_be_had_is_a_problem() -> None:
    found = report("overload", {"p99_ratio": None, "refused": 0}, ["the machine was busy"], [], {})
    assert not found.valid
    assert found.problems == ("the machine was busy", "p99_ratio could not be measured")
    assert found.to_json()["p99_ratio"] is None


def test_a_report_without_problems_is_valid() -> None:
    assert report("overload", {"p99_ratio": 1.2}, [], [], {}).to_json()["valid"] is True


def test_the_json_has_every_phase_with_its_histogram(phase: MakePhase, reply: MakeReply) -> None:
    replies = [reply(n / 10, 0.02) for n in range(50)] + [
        reply(6, 0.001, Outcome.REFUSED, reason="OVERLOADED the server"),
        reply(7, 0.3, Outcome.CHEAPER, reason="cross_encoder overloaded"),
    ]
    found = json.loads(json.dumps(report("overload", {}, [], [phase(replies, offered={"a": 5.0})], {}).to_json()))
    (only,) = found["evidence"]["phases"]
    flow = only["flows"]["a"]
    assert flow["offered_per_second"] == 5.0
    assert flow["outcomes"]["answered"] == 50
    assert flow["refused_because"] == {"OVERLOADED the server": 1}
    assert flow["cheaper_because"] == {"cross_encoder overloaded": 1}
    assert HdrHistogram.decode(flow["answered_histogram_microseconds"]).total_count == 51


def test_people_see_figures_phases_and_the_verdict(phase: MakePhase, reply: MakeReply) -> None:
    console = Console(width=120, record=True, file=None, quiet=False)
    phases = [phase([reply(), reply(1, 0.001, Outcome.REFUSED)], label="2x capacity")]
    with console.capture() as shown:
        console.print(
            tables.render(report("overload", {}, ["too few"], phases, {}, [Row("goodput", "0.99", "of peak")]))
        )
    text = shown.get()
    assert "goodput" in text
    assert "2x capacity" in text
    assert "refused" in text
    assert "expired" not in text
    assert "not valid" in text
    assert "too few" in text
