"""An answer must not contradict the changes that were made."""

import pytest

from cascade.load.changes import Change, wrong_versions
from cascade.load.reply import Reply
from tests.unit.load.conftest import MakeReply

SUBJECT = ("red", "words")
MADE = [
    Change(SUBJECT, 1, "hash1", float("-inf"), float("-inf")),
    Change(SUBJECT, 2, "hash2", 10.0, 10.1),
    Change(SUBJECT, 3, "hash3", 20.0, 20.1),
]


def wrong(found: Reply, tenant: str = "red") -> list[str]:
    return wrong_versions(MADE, [(tenant, found)], bound=1.0)


@pytest.mark.parametrize(
    ("at", "version"),
    [(5.0, 1), (10.05, 1), (10.05, 2), (11.0, 1), (11.0, 2), (15.0, 2), (20.5, 2), (20.05, 3), (30.0, 3)],
)
def test_answers_by_what_is_or_may_be_in_effect_are_right(reply: MakeReply, at: float, version: int) -> None:
    assert wrong(reply(at, cascade="words", version=version, config_hash=f"hash{version}")) == []


@pytest.mark.parametrize(
    ("at", "version", "config_hash", "why"),
    [
        (11.2, 1, "hash1", "1.10 s after 2 was acknowledged"),
        (30.0, 1, "hash1", "9.90 s after 3 was acknowledged"),
        (5.0, 2, "hash2", "before it was activated"),
        (15.0, 2, "hash3", "has the hash hash2, found hash3"),
        (15.0, 9, "hash9", "never put"),
    ],
)
def test_answers_that_contradict_the_changes_are_wrong(
    reply: MakeReply, at: float, version: int, config_hash: str, why: str
) -> None:
    (problem,) = wrong(reply(at, cascade="words", version=version, config_hash=config_hash))
    assert why in problem


def test_another_tenants_versions_are_not_ones_own(reply: MakeReply) -> None:
    (problem,) = wrong(reply(15.0, cascade="words", version=2, config_hash="hash2"), tenant="blue")
    assert "blue/words" in problem
    assert "never put" in problem


def test_the_time_of_sending_decides_and_not_that_of_the_answer(reply: MakeReply) -> None:
    assert wrong(reply(11.0, 5.0, cascade="words", version=1, config_hash="hash1")) == []
