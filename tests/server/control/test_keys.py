"""Keys in the store."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from cascade.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from cascade_server.control.secrets import key_id_of, matches, new_key_id, new_secret
from cascade_server.control.state import Quota, Role
from cascade_server.control.store import Store


def test_a_secret_names_its_key_and_matches_its_digest_alone(store: Store) -> None:
    key, secret = store.create_key("ann", "default", Role.WRITER, "indexer")
    found = store.state().keys[key.key_id]
    assert found.key == key
    assert key_id_of(secret) == key.key_id
    assert found.digest is not None
    assert matches(secret, found.digest)
    assert not matches(new_secret(key.key_id)[0], found.digest)


def test_no_table_holds_a_secret(store: Store, place: Any) -> None:
    _, secret = store.create_key("ann", "default", Role.ADMIN)
    engine = create_engine(place.url)
    with engine.connect() as connection:
        for table in ("keys", "audit"):
            rows = connection.execute(text(f"SELECT * FROM {table}")).all()
            assert rows
            assert not any(secret[17:] in str(row) for row in rows)
    engine.dispose()


def test_a_key_comes_back_as_it_was_made(store: Store, clock: Any) -> None:
    ends = (clock.now + timedelta(days=1)).astimezone(timezone(timedelta(hours=9)))
    made, _ = store.create_key("ann", None, Role.ADMIN, "for the office", ends)
    assert store.keys(None) == [made]
    assert (made.tenant, made.role, made.label, made.expires_at) == (None, Role.ADMIN, "for the office", ends)
    assert made.created_at == clock.now


def test_a_certificates_name_stands_for_a_key_without_a_secret(store: Store) -> None:
    key, secret = store.create_key("ann", "default", Role.READER, certificate_name="web.example.org")
    assert secret == ""
    assert store.state().keys[key.key_id].digest is None
    assert store.state().keys[key.key_id].key.certificate_name == "web.example.org"


def test_a_certificate_stands_for_one_key_at_a_time(store: Store, clock: Any) -> None:
    ends = clock.now + timedelta(minutes=1)
    store.create_key("ann", "default", Role.READER, expires_at=ends, certificate_name="web")
    with pytest.raises(AlreadyExistsError, match="web"):
        store.create_key("ann", None, Role.ADMIN, certificate_name="web")
    clock.advance(60)
    key, _ = store.create_key("ann", None, Role.ADMIN, certificate_name="web")
    assert list(store.state().keys) == [key.key_id]


def test_a_revoked_key_opens_nothing_and_is_remembered(store: Store, clock: Any) -> None:
    key, _ = store.create_key("ann", "default", Role.READER)
    clock.advance(5)
    revoked = store.revoke_key("bob", key.key_id, "default")
    assert revoked.revoked_at == clock.now
    assert store.state().keys == {}
    assert store.keys("default") == [revoked]


def test_revoking_twice_changes_nothing(store: Store, clock: Any) -> None:
    key, _ = store.create_key("ann", "default", Role.READER)
    first = store.revoke_key("ann", key.key_id, None)
    before = store.revision()
    clock.advance(5)
    assert store.revoke_key("ann", key.key_id, None) == first
    assert store.revision() == before


def test_an_expired_key_is_in_force_no_longer(store: Store, clock: Any) -> None:
    key, _ = store.create_key("ann", "default", Role.READER, expires_at=clock.now + timedelta(seconds=10))
    clock.advance(9.9)
    assert list(store.state().keys) == [key.key_id]
    clock.advance(0.1)
    assert store.state().keys == {}
    assert store.keys("default") == [key]


def test_a_tenant_cannot_revoke_anothers_key_or_learn_of_it(store: Store) -> None:
    store.create_tenant("ann", "shop", Quota())
    keys = [store.create_key("ann", tenant, Role.READER)[0] for tenant in ("shop", None)]
    for key in keys:
        with pytest.raises(NotFoundError, match=r"^no key named '\w+'$"):
            store.revoke_key("eve", key.key_id, "default")
    assert len(store.state().keys) == 2


def test_an_unknown_key_is_not_found(store: Store) -> None:
    store.create_key("ann", None, Role.ADMIN)
    for key_id in ("", "0" * 12, "a\0b", "' OR 1=1", "x" * 1000):
        with pytest.raises(NotFoundError):
            store.revoke_key("ann", key_id, None)


def test_keys_are_listed_by_tenant_the_newest_first(store: Store, clock: Any) -> None:
    made = []
    for tenant in ("default", None, "default"):
        made.append(store.create_key("ann", tenant, Role.READER)[0])
        clock.advance(1)
    assert store.keys(None) == [made[1], made[2], made[0]]
    assert store.keys("default") == [made[2], made[0]]


def test_a_key_that_would_never_open_anything_is_not_made(store: Store, clock: Any) -> None:
    for ends in (clock.now, clock.now - timedelta(days=1), datetime(2030, 1, 1)):  # the point of it
        with pytest.raises(InvalidInputError, match="expires_at"):
            store.create_key("ann", "default", Role.READER, expires_at=ends)


def test_a_label_fits_on_a_line(store: Store) -> None:
    for label in ("a\nb", "a\0b", "\ud800", "a" * 201):
        with pytest.raises(InvalidInputError, match="label"):
            store.create_key("ann", "default", Role.READER, label)
        with pytest.raises(InvalidInputError, match="certificate_name"):
            store.create_key("ann", "default", Role.READER, certificate_name=label)


@pytest.mark.parametrize(
    "text", ["", "csk_", "csk_a_" + "b" * 42, "csk_a_" + "b" * 44, "csk__" + "b" * 43, "csk_A_" + "b" * 43, "é" * 60]
)
def test_what_has_not_the_form_of_a_secret_names_no_key(text: str) -> None:
    assert key_id_of(text) is None


def test_no_two_keys_are_alike() -> None:
    ids = {new_key_id() for _ in range(1000)}
    secrets = {new_secret("a")[0] for _ in range(1000)}
    assert (len(ids), len(secrets)) == (1000, 1000)
    assert all(key_id_of(secret) == "a" for secret in secrets)
