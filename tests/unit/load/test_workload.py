"""Requests are real texts, decided by a seed."""

from cascade.config import parse
from cascade.load.changer import versions
from cascade.load.workload import RERANK, WORDS, workload
from cascade_api.v1 import ranking_pb2


def test_the_same_seed_gives_the_same_requests() -> None:
    one, other, third = (workload("rerank", RERANK, seed=seed, size=20) for seed in (1, 1, 2))
    assert one == other
    assert one.requests != third.requests


def test_a_request_asks_a_question_about_ten_passages() -> None:
    for raw in workload("rerank", RERANK, seed=0, size=20).requests:
        request = ranking_pb2.RankRequest.FromString(raw)
        assert request.cascade == "rerank"
        assert request.query.strip()
        assert len({document.text for document in request.documents}) == request.top_k == 10


def test_the_cascades_are_sound() -> None:
    assert parse(RERANK, "rerank").tiers
    assert not parse(WORDS % 10, "words").tiers


def test_versions_rank_alike_and_are_told_apart() -> None:
    original = parse(RERANK, "rerank")
    made = [parse(text, "rerank") for text, _ in zip(versions(RERANK), range(3), strict=False)]
    assert len({config.config_hash for config in [original, *made]}) == 4
    assert {config.tiers for config in made} == {original.tiers}
