"""The page shows what happened in every second, and latencies of all rounds together."""

import pytest

from cascade.load.html import render
from cascade.load.html.view import spread, timeline, view
from cascade.load.reply import Outcome
from cascade.load.report import Row, report
from tests.unit.load.conftest import MakePhase, MakeReply

HOSTILE = '</script><script>alert("out")</script>'


def test_a_request_belongs_to_the_second_in_which_it_should_have_been_sent(phase: MakePhase, reply: MakeReply) -> None:
    found = timeline(phase([reply(0.9, 0.5), reply(2.1, 0.2), reply(2.2, 0.001, Outcome.REFUSED)]), "a")
    answered, refused = (list(Outcome).index(o) for o in (Outcome.ANSWERED, Outcome.REFUSED))
    assert [counts[answered] for counts in found["counts"]] == [1, 0, 1]
    assert [counts[refused] for counts in found["counts"]] == [0, 0, 1]
    assert found["p99"] == [pytest.approx(0.5, rel=1e-3), None, pytest.approx(0.2, rel=1e-3)]


def test_a_spread_ends_where_values_do(reply: MakeReply) -> None:
    few, many = spread([0.1] * 10), spread([0.1] * 1000)
    assert few[-1][0] == 90
    assert many[-1][0] == 99.9


def test_rounds_of_a_phase_are_shown_together(phase: MakePhase, reply: MakeReply) -> None:
    rounds = [phase([reply(0, 0.1)] * 10, label="victim alone"), phase([reply(0, 0.3)] * 10, label="victim alone")]
    (only,) = view(report("isolation", {}, [], rounds, {}))["spreads"]
    assert only["name"] == "victim alone"
    assert only["points"][-1] == (95, pytest.approx(0.3, rel=1e-3))


def test_nothing_gets_out_of_the_page(phase: MakePhase, reply: MakeReply) -> None:
    machine = {"processor": HOSTILE, "processors": 2, "cascade": "0"}
    evidence = {"machine": machine, "seed": 0}
    page = render(
        report("isolation", {"x": None}, [HOSTILE], [phase([reply()], label=HOSTILE)], evidence, [Row(HOSTILE, "1")])
    )
    assert HOSTILE not in page
    assert "Not valid" in page
