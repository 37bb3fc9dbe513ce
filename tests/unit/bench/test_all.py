"""Every bench has its time, and what happens to one happens to no other."""

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from cascade.bench.all import everything
from cascade.bench.catalogue import BENCHES, Entry
from cascade.bench.options import Options
from cascade.bench.result import Result

PROGRAM = """
import json, sys, time
name, arguments = sys.argv[1], sys.argv[2:]
print("at work", file=sys.stderr)
if name == "broken":
    sys.exit("nothing works")
if name == "talkative":
    print("2026 is the year")
if name == "endless":
    time.sleep(600)
result = json.load(open({file!r}))
print(json.dumps({{**result, "name": name, "notes": arguments}}))
"""


@pytest.fixture
def program(tmp_path: Path, result: Result) -> list[str]:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(result.to_json()), encoding="utf-8")
    return [sys.executable, "-c", PROGRAM.format(file=str(file))]


def test_a_bench_that_fails_does_not_end_the_rest(program: list[str]) -> None:
    lines: list[str] = []
    benches = {name: Entry("", "", 60 - place) for place, name in enumerate(("first", "broken", "last"))}
    found = everything(Options(quick=True), lines.append, benches=benches, program=program)
    assert [result.name for result in found.results] == ["first", "last"]
    assert found.failures == {"broken": "exit status 1: nothing works"}
    assert found.seconds.keys() == benches.keys()
    assert "  at work" in lines


def test_a_bench_that_prints_something_else_is_told_of(program: list[str]) -> None:
    benches = {"talkative": Entry("", "", 60), "last": Entry("", "", 60)}
    found = everything(Options(quick=True), lambda line: None, benches=benches, program=program)
    assert [result.name for result in found.results] == ["last"]
    assert "something else than a result" in found.failures["talkative"]


def test_a_bench_that_does_not_end_is_ended(program: list[str]) -> None:
    benches = {"endless": Entry("", "", 0.2), "last": Entry("", "", 60)}
    found = everything(Options(seconds=60.2), lambda line: None, benches=benches, program=program)
    assert [result.name for result in found.results] == ["last"]
    assert "not done after 0 s" in found.failures["endless"]


def test_a_bench_ends_with_whoever_runs_all() -> None:
    told: list[int] = []

    def interrupted(line: str) -> None:
        if line.strip().isdigit():
            told.append(int(line))
            raise KeyboardInterrupt

    program = (sys.executable, "-c", "import os, sys, time; print(os.getpid(), file=sys.stderr); time.sleep(600)")
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        everything(Options(), interrupted, benches={"endless": Entry("", "", 60)}, program=program)
    try:
        with pytest.raises(ProcessLookupError):
            os.kill(told[0], 0)
        left = set(threading.enumerate()) - before  # others of the process may have ended meanwhile
        assert not [one for one in left if isinstance(one, threading.Timer) and not one.finished.is_set()]
    finally:
        with suppress(ProcessLookupError):
            os.kill(told[0], signal.SIGKILL)


def test_a_bench_is_told_what_all_were_told(program: list[str], tmp_path: Path) -> None:
    options = Options(rounds=9, threads=3, collections=tmp_path, quick=True)
    found = everything(options, lambda line: None, benches={"first": Entry("", "", 60)}, program=program)
    (result,) = found.results
    told = ["--rounds", "9", "--threads", "3", "--collections", str(tmp_path), "--seconds", "30.0", "--json", "--quick"]
    assert result.notes == told


def test_all_benches_fit_into_twenty_minutes() -> None:
    assert sum(entry.seconds for entry in BENCHES.values()) <= 19 * 60
