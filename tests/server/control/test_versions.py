"""Versions of cascades in the store."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.config import parse
from cascade.errors import ConfigError, InvalidInputError, NotFoundError
from cascade_server.control.store import Store

WORDS = "retrieve: [{kind: bm25}]"


def words(depth: int) -> str:
    """A cascade that differs by its depth."""
    return f"# as put\nretrieve: [{{kind: bm25, depth: {depth}}}]\n"


def test_a_version_is_kept_as_it_was_put(store: Store) -> None:
    text = "description: Wörter  # with a comment\nretrieve: [{kind: bm25}]\n"
    version, new = store.put_version("ann", "default", "words", text)
    assert new
    assert version == store.version("default", "words", 1)
    assert (version.text, version.description, version.created_by) == (text, "Wörter", "ann")
    assert version.config_hash == parse(text, "words").config_hash


def test_what_means_the_same_as_the_latest_is_that_version(store: Store) -> None:
    first, _ = store.put_version("ann", "default", "words", WORDS)
    before = store.revision()
    assert store.put_version("bob", "default", "words", WORDS + "  # now with a comment") == (first, False)
    assert store.revision() == before


def test_what_an_older_version_says_is_a_new_version(store: Store) -> None:
    numbers = [store.put_version("ann", "default", "words", words(depth))[0].number for depth in (10, 20, 10)]
    assert numbers == [1, 2, 3]


@settings(max_examples=25)
@given(puts=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3)), max_size=12))
def test_numbers_count_from_one_without_gaps_whatever_is_put(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[str, int]]
) -> None:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('numbers') / 'control.db'}")
    store.migrate()
    expected: dict[str, list[int]] = {}
    for cascade, depth in puts:
        told = expected.setdefault(cascade, [])
        version, new = store.put_version("ann", "default", cascade, words(depth))
        assert new == (told[-1:] != [depth])
        if new:
            told.append(depth)
        assert version.number == len(told)
    for cascade, depths in expected.items():
        kept = store.versions("default", cascade)
        assert [version.number for version in kept] == list(range(len(depths), 0, -1))
        assert [version.text for version in reversed(kept)] == [words(depth) for depth in depths]
    store.close()


def test_versions_are_listed_by_cascade_the_newest_first(store: Store) -> None:
    for cascade, depth in (("b", 1), ("a", 1), ("a", 2)):
        store.put_version("ann", "default", cascade, words(depth))
    assert [(v.cascade, v.number) for v in store.versions("default")] == [("a", 2), ("a", 1), ("b", 1)]
    assert [v.number for v in store.versions("default", "a")] == [2, 1]
    assert store.version("default", "a").number == 2


def test_what_is_no_cascade_is_not_kept(store: Store) -> None:
    long = WORDS + "#" * 2**20
    for text in ("", "retrieve: []", "retrieve: [{kind: bm25}]\nteirs: []", "{", "a: &a [*a]", "retrieve: \0", long):
        with pytest.raises(ConfigError, match="default/words"):
            store.put_version("ann", "default", "words", text)
    assert (store.versions("default"), store.revision()) == ([], 1)


def test_a_description_that_a_database_cannot_hold_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match="NUL"):
        store.put_version("ann", "default", "words", 'description: "a\\0b"\n' + WORDS)


def test_a_version_that_is_not_there_is_not_found(store: Store) -> None:
    store.put_version("ann", "default", "words", WORDS)
    for number in (-1, 2, 2**31, 2**64 - 1):
        with pytest.raises(NotFoundError, match="version"):
            store.version("default", "words", number)


def test_an_unknown_cascade_is_not_found_and_the_tenants_own_are_named(store: Store) -> None:
    store.put_version("ann", "default", "words", WORDS)
    for attempt in (lambda: store.version("default", "other"), lambda: store.versions("default", "other")):
        with pytest.raises(NotFoundError, match="known: words"):
            attempt()


def test_a_cascade_is_not_looked_for_by_a_path(store: Store) -> None:
    attempts: list[Callable[[str], object]] = [
        lambda name: store.version("default", name),
        lambda name: store.versions("default", name),
        lambda name: store.activate("ann", "default", name, 1),
        lambda name: store.deactivate("ann", "default", name),
        lambda name: store.set_canary("ann", "default", name, 1, 10),
    ]
    for name in ("../words", "words/..", "a\0b", "WORDS"):
        for attempt in attempts:
            with pytest.raises(InvalidInputError, match="lower-case"):
                attempt(name)


def test_words_are_data_and_never_statements(store: Store) -> None:
    text = f'description: "\'); DROP TABLE versions; --"\n{WORDS}'
    store.put_version("'; DELETE FROM audit; --", "default", "words", text)
    assert store.version("default", "words").created_by == "'; DELETE FROM audit; --"
    assert len(store.audit(None)) == 2
