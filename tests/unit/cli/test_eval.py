"""`cascade eval` measures a cascade through a real server, from a folder of judged queries to figures per stage."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
from click.testing import Result
from typer.testing import CliRunner

from cascade.cli.eval import eval_command
from cascade.errors import ConfigError, InvalidInputError, NotFoundError

TOPICS = ("apple", "river", "engine", "violin", "desert", "comet")
GRADED = "official/graded.txt"
CASCADE = """
retrieve:
  - {kind: bm25, depth: 20}
fuse: {kind: rrf, depth: 10}
tiers:
  - {kind: identity, depth: 5}
"""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Log lines go nowhere, and where a command sends them ends with the test."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six topics with five documents each; of every topic, the first two are relevant, and the last query has none."""
    folder = tmp_path_factory.mktemp("collections") / "Tiny Set"
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": f"{topic}-{n}", "title": "", "text": f"about {topic}" + " and other things" * n}
        for topic in TOPICS
        for n in range(5)
    ]
    queries = [{"_id": f"q-{topic}", "text": f"{topic} stories"} for topic in TOPICS]
    queries.append({"_id": "q-none", "text": "zzz"})
    qrels = [f"q-{topic}\t{topic}-{n}\t{2 - n}" for topic in TOPICS for n in range(2)] + ["q-none\tapple-4\t1"]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), encoding="utf-8")
    (folder / GRADED).parent.mkdir()
    graded = [f"q-{topic} 0 {topic}-{n} {int(n == 0)}" for topic in TOPICS for n in (2, 1, 0)]
    (folder / GRADED).write_text("\n".join([*graded, "q-none 0 apple-4 1"]), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *qrels]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cascades") / "plain.yaml"
    path.write_text(CASCADE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def call(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """Runs the command on the collection, all calls on one data folder; errors are raised."""
    app = typer.Typer()
    app.command()(eval_command)
    data = tmp_path_factory.mktemp("data")

    def run(*arguments: str) -> Result:
        given = ["--collection", str(folder), *arguments]
        if "--target" not in arguments:
            given += ["--data-dir", str(data)]
        return CliRunner().invoke(app, given, catch_exceptions=False)

    return run


def test_every_stage_of_a_cascade_is_measured_through_a_server(
    call: Callable[..., Result], cascade: Path, tmp_path: Path
) -> None:
    result = call("--cascade", str(cascade), "--runs", str(tmp_path), "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["collection"], report["split"], report["cascade"]) == ("Tiny Set", "test", "plain")
    assert (report["queries"], report["index"], report["top_k"]) == (7, "tiny-set", 20)
    assert (report["degraded_queries"], report["unanswered_queries"]) == (0, 0)
    assert [(s["stage"], s["kind"], s["depth"]) for s in report["stages"]] == [
        ("bm25", "bm25", 20),
        ("fuse", "rrf", 10),
        ("identity", "identity", 5),
    ]
    # Shorter documents score higher in BM25, so the relevant ones come first; the query without a match counts as 0.
    for stage in report["stages"]:
        assert stage["measures"]["RR@10"]["mean"] == pytest.approx(6 / 7)
        assert stage["measures"]["R@100"]["mean"] == pytest.approx(6 / 7)
        assert stage["measures"]["P@10"]["mean"] == pytest.approx(6 / 7 * 0.2)
        assert stage["measures"]["nDCG@10"]["low"] < 6 / 7 < stage["measures"]["nDCG@10"]["high"]
        assert stage["status"] == {"completed": 7}
        assert stage["seconds"] >= 0
    assert report["stages"][0]["candidates"] == 30
    assert report["stages"][2]["against_previous"] == {"stage": "fuse", "delta": 0.0, "p": 1.0}
    assert set(report["stages"][2]["against"]) == {"bm25", "fuse"}
    run = (tmp_path / "identity.trec").read_text(encoding="utf-8").splitlines()
    assert run[0] == "q-apple Q0 apple-0 1 -1 plain-identity"
    assert len(run) == 30


def test_a_run_is_reranked_and_measured_first(call: Callable[..., Result], cascade: Path, tmp_path: Path) -> None:
    run = tmp_path / "first.trec"
    lines = [f"q-{topic} Q0 {topic}-{4 - n} {n} {-n} first" for topic in TOPICS for n in range(5)]
    run.write_text("\n".join(lines), encoding="utf-8")
    given = ("--cascade", str(cascade), "--run", str(run), "--price-per-hour", "3600")
    report = json.loads(call(*given, "--run-depth", "4", "--json", "--per-query").stdout)
    assert [(s["stage"], s["kind"]) for s in report["stages"]] == [
        ("run", "run"),
        ("bm25", "bm25"),
        ("fuse", "rrf"),
        ("identity", "identity"),
    ]
    assert (report["queries"], report["index"]) == (7, "")
    assert report["notes"] == ["1 judged queries are not in the run and count as 0"]
    first, bm25 = report["stages"][:2]
    assert (first["candidates"], first["measures"]["RR@10"]["mean"]) == (4.0, pytest.approx(6 / 7 / 4))
    assert set(first["measures"]) == {"nDCG@10", "R@100", "P@10", "RR@10", "AP", "R@4"}
    assert bm25["per_query"]["RR@10"] == {f"q-{topic}": 1.0 for topic in TOPICS} | {"q-none": 0.0}
    assert bm25["against_previous"]["delta"] > 0
    assert report["money"] == pytest.approx(sum(s["seconds"] for s in report["stages"]) * 6 / 7)
    assert "money: " in call(*given).stdout


def test_a_query_can_be_asked_about_its_judged_documents_only(call: Callable[..., Result], cascade: Path) -> None:
    report = json.loads(call("--cascade", str(cascade), "--candidates", "judged", "--split", GRADED, "--json").stdout)
    assert (report["queries"], report["index"]) == (6, "")
    assert report["notes"] == ["1 queries whose candidates are all or none relevant are left out"]
    assert [s["measures"]["RR@10"]["mean"] for s in report["stages"]] == [1.0] * 3
    assert report["stages"][0]["candidates"] == 3.0


def test_two_cascades_are_put_side_by_side(call: Callable[..., Result], cascade: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow.yaml"
    shallow.write_text("retrieve: [{kind: bm25, depth: 1}]\nfuse: {kind: rrf, depth: 1}\n", encoding="utf-8")
    given = ("--compare", str(cascade), str(shallow), "--runs", str(tmp_path / "runs"))
    found = json.loads(call(*given, "--json").stdout)
    assert (found["wins"], found["ties"], found["losses"], found["shared"]) == (0, 1, 6, [])
    assert [report["cascade"] for report in found["reports"]] == ["plain", "shallow"]
    assert found["delta"]["high"] < 0
    assert found["p"] < 0.05
    assert {moved["query_id"] for moved in found["moved"]} == {f"q-{topic}" for topic in TOPICS}
    assert (tmp_path / "runs" / "shallow" / "fuse.trec").is_file()
    shown = " ".join(call(*given).stdout.split())
    assert "shallow against plain: 0 queries better, 1 the same, 6 worse" in shown
    assert "apple stories" in shown


def test_a_file_may_be_compared_with_another_of_the_same_name(
    call: Callable[..., Result], cascade: Path, tmp_path: Path
) -> None:
    other = tmp_path / cascade.name
    other.write_text(cascade.read_text(encoding="utf-8"), encoding="utf-8")
    found = json.loads(call("--compare", str(cascade), str(other), "--json").stdout)
    assert [report["cascade"] for report in found["reports"]] == ["plain", "plain (second)"]
    assert (found["ties"], found["p"], found["shared"]) == (7, 1.0, ["bm25", "fuse", "identity"])


def test_a_second_call_reuses_the_index_and_says_the_same(call: Callable[..., Result], cascade: Path) -> None:
    first, again = (json.loads(call("--cascade", str(cascade), "--json").stdout) for _ in range(2))
    for stage in first["stages"] + again["stages"]:
        del stage["seconds"]
    assert first == again


def test_a_person_sees_tables_and_notes(call: Callable[..., Result], cascade: Path) -> None:
    shown = call("--cascade", str(cascade), "--limit-queries", "3", "--seed", "1").stdout
    assert "Tiny Set (test), 3 queries, cascade 'plain'" in shown
    assert "note: 3 of 7 queries, drawn with seed 1" in shown


def test_a_cascades_folder_names_its_tenants(call: Callable[..., Result], cascade: Path, tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "plain.yaml").write_text(cascade.read_text(encoding="utf-8"), encoding="utf-8")
    given = ("--cascades", str(tmp_path), "--cascade", "plain", "--json")
    assert json.loads(call(*given, "--tenant", "acme").stdout)["queries"] == 7
    with pytest.raises(NotFoundError, match="no tenant named 'other'; known: acme, default"):
        call(*given, "--tenant", "other")


def test_what_is_not_there_is_refused_with_what_is(call: Callable[..., Result], cascade: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no cascade named 'slow'; known: fast, quality"):
        call("--cascade", "slow")
    with pytest.raises(NotFoundError, match=r"no split .* named 'dev'; known: test"):
        call("--cascade", str(cascade), "--split", "dev")
    with pytest.raises(InvalidInputError, match="no such folder"):
        call("--cascade", str(cascade), "--collection", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="cannot be read"):
        call("--cascade", str(tmp_path / "nothing.yaml"))


def test_an_index_with_other_documents_is_refused(
    call: Callable[..., Result], cascade: Path, folder: Path, tmp_path: Path
) -> None:
    smaller = tmp_path / "Tiny Set"
    (smaller / "qrels").mkdir(parents=True)
    for name in ("queries.jsonl", "qrels/test.tsv"):
        (smaller / name).write_text((folder / name).read_text(encoding="utf-8"), encoding="utf-8")
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    (smaller / "corpus.jsonl").write_text("\n".join(lines[:-1]), encoding="utf-8")
    call("--cascade", str(cascade), "--json")
    with pytest.raises(InvalidInputError, match="holds 1 documents that are not in the collection"):
        call("--cascade", str(cascade), "--collection", str(smaller))


def test_options_that_do_not_go_together_are_refused(call: Callable[..., Result], cascade: Path) -> None:
    result = call("--cascade", str(cascade), "--target", "localhost:1")
    assert result.exit_code == 2
    assert "are for a server in this process" in " ".join(result.stderr.replace("│", "").split())
    for given in ((), ("--cascade", "fast", "--compare", "fast", "quality")):
        result = call(*given)
        assert result.exit_code == 2
        assert "give one of --cascade and --compare" in " ".join(result.stderr.replace("│", "").split())
    result = call("--cascade", str(cascade), "--run", "some.trec", "--candidates", "judged")
    assert result.exit_code == 2
    assert "leave out --candidates" in " ".join(result.stderr.replace("│", "").split())


def test_a_server_elsewhere_is_measured_in_the_same_way(
    run_json: Callable[..., Any], target: str, folder: Path
) -> None:
    given = ("eval", "--collection", folder, "--cascade", "words", "--target", target, "--index", "measured")
    for report in (run_json(*given), run_json(*given)):
        assert [stage["stage"] for stage in report["stages"]] == ["bm25", "fuse", "keep"]
        assert report["stages"][0]["measures"]["RR@10"]["mean"] == pytest.approx(6 / 7)


def test_cascades_of_a_server_elsewhere_are_compared_too(
    run_json: Callable[..., Any], target: str, folder: Path
) -> None:
    given = ("eval", "--collection", folder, "--compare", "words", "fast", "--target", target, "--index", "measured")
    found = run_json(*given)
    assert (found["ties"], found["shared"]) == (7, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--split", "dev", "--cascade", "fast"), "known: test"),
        (("--cascade", "slow"), "no cascade named 'slow'"),
        (("--cascade", "slow", "--target", "TARGET"), "no cascade named 'slow'"),
        (("--cascade", "/nowhere/plain.yaml"), "/nowhere/plain.yaml"),
        (("--cascade", "fast", "--concurrency", "0"), "concurrency"),
    ],
)
def test_bad_input_ends_with_status_2(
    run: Callable[..., Any], target: str, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    given = [target if argument == "TARGET" else argument for argument in arguments]
    result = run("eval", "--collection", folder, *given)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_server_that_is_not_there_ends_with_status_1(run: Callable[..., Any], folder: Path) -> None:
    result = run("eval", "--collection", folder, "--cascade", "fast", "--target", "127.0.0.1:1", "--timeout-ms", "50")
    assert result.exit_code == 1
    assert "error: " in result.stderr
