"""Keys open what they are for, until they are revoked or expire."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_server.access import api_keys
from cascade_server.access.api_keys import ApiKeys
from cascade_server.access.certificates import Certificate
from cascade_server.access.principal import Principal
from cascade_server.access.refusals import Refusal
from cascade_server.control.secrets import new_secret
from cascade_server.control.state import Role
from cascade_server.errors import UnauthenticatedError


@pytest.fixture
def keys(ring: Any, now: Any) -> ApiKeys:
    return ApiKeys(lambda: ring.keys, lambda: now[-1])


def named(now: Any, *names: str, common: str | None = None, ends: timedelta = timedelta(days=1)) -> Certificate:
    return Certificate(names, common, now[-1] + ends)


def test_a_secret_stands_for_its_key(keys: ApiKeys, ring: Any) -> None:
    secret = ring.add("a1", "acme", Role.WRITER)
    operator = ring.add("b2", None, Role.ADMIN)
    assert keys.by_secret(secret) == Principal("a1", "acme", Role.WRITER)
    assert keys.by_secret(operator) == Principal("b2", None, Role.ADMIN)


def test_a_forged_secret_of_a_known_key_is_refused_like_one_of_an_unknown_key(
    keys: ApiKeys, ring: Any, refusing: Any
) -> None:
    ring.add("a1")
    messages = []
    for forged in (new_secret("a1")[0], new_secret("nobody")[0], "csk_a1_", "csk_", "csk_a1_" + "A" * 43, "csk_é"):
        with refusing(Refusal.UNKNOWN_KEY) as refusal:
            keys.by_secret(forged)
        messages.append(refusal.message)
    assert len(set(messages)) == 1


def test_an_unknown_id_costs_a_comparison_too(
    keys: ApiKeys, ring: Any, refusing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    def counting(secret: str, digest: bytes) -> bool:
        compared.append(len(digest))
        return False

    ring.add("a1")
    ring.add("c3", certificate_name="svc")
    monkeypatch.setattr(api_keys, "matches", counting)
    for secret in (new_secret("a1")[0], new_secret("nobody")[0], new_secret("c3")[0], "csk_nonsense"):
        with refusing(Refusal.UNKNOWN_KEY):
            keys.by_secret(secret)
    assert compared == [32, 32, 32, 32]


def test_a_key_that_was_revoked_opens_nothing(keys: ApiKeys, ring: Any, refusing: Any) -> None:
    secret = ring.add("a1")
    assert keys.by_secret(secret)
    ring.keys = {}
    with refusing(Refusal.UNKNOWN_KEY):
        keys.by_secret(secret)


def test_a_key_expires_by_the_clock_and_not_when_it_was_read(keys: ApiKeys, ring: Any, now: Any, refusing: Any) -> None:
    secret = ring.add("a1", expires_at=now[-1] + timedelta(seconds=5))
    assert keys.by_secret(secret)
    now.append(now[-1] + timedelta(seconds=5))
    with refusing(Refusal.EXPIRED_KEY):
        keys.by_secret(secret)


def test_who_has_a_wrong_secret_does_not_learn_that_a_key_has_expired(
    keys: ApiKeys, ring: Any, now: Any, refusing: Any
) -> None:
    ring.add("a1", expires_at=now[-1] - timedelta(seconds=5))
    with refusing(Refusal.UNKNOWN_KEY):
        keys.by_secret(new_secret("a1")[0])


def test_a_key_for_a_certificate_has_no_secret(keys: ApiKeys, ring: Any, refusing: Any) -> None:
    secret = ring.add("a1", certificate_name="svc")
    with refusing(Refusal.UNKNOWN_KEY):
        keys.by_secret(secret)


def test_a_certificate_stands_for_the_key_that_names_it(keys: ApiKeys, ring: Any, now: Any) -> None:
    ring.add("a1", "acme", certificate_name="spiffe://example/acme")
    ring.add("b2", "globex", certificate_name="globex")
    assert keys.by_certificate(named(now, "x", "spiffe://example/acme")) == Principal("a1", "acme", Role.READER)
    assert keys.by_certificate(named(now, common="globex")) == Principal("b2", "globex", Role.READER)
    assert keys.by_certificate(named(now, "GLOBEX", "*.globex", "globex.", common="other")) is None
    assert keys.by_certificate(named(now)) is None


def test_a_common_name_counts_only_when_no_alternative_name_does(keys: ApiKeys, ring: Any, now: Any) -> None:
    ring.add("a1", "acme", certificate_name="acme")
    ring.add("b2", "globex", certificate_name="globex")
    assert keys.by_certificate(named(now, "acme", common="globex")) == Principal("a1", "acme", Role.READER)


def test_a_certificate_that_stands_for_different_callers_is_refused(
    keys: ApiKeys, ring: Any, now: Any, refusing: Any
) -> None:
    ring.add("a1", "acme", certificate_name="acme")
    ring.add("b2", "globex", certificate_name="globex")
    with refusing(Refusal.CONFLICTING):
        keys.by_certificate(named(now, "acme", "globex"))


def test_a_certificate_is_looked_up_among_the_keys_of_now(keys: ApiKeys, ring: Any, now: Any) -> None:
    ring.add("a1", certificate_name="acme", expires_at=now[-1] + timedelta(seconds=5))
    certificate = named(now, "acme")
    assert keys.by_certificate(certificate)
    now.append(now[-1] + timedelta(seconds=5))
    assert keys.by_certificate(certificate) is None
    ring.add("b2", certificate_name="acme")
    assert keys.by_certificate(certificate) == Principal("b2", "acme", Role.READER)
    ring.keys = {}
    assert keys.by_certificate(certificate) is None


def test_a_certificate_that_expires_while_its_connection_lives_is_refused(
    keys: ApiKeys, ring: Any, now: Any, refusing: Any
) -> None:
    ring.add("a1", certificate_name="acme")
    certificate = named(now, "acme", ends=timedelta(seconds=5))
    assert keys.by_certificate(certificate)
    now.append(now[-1] + timedelta(seconds=5))
    with refusing(Refusal.EXPIRED_CERTIFICATE):
        keys.by_certificate(certificate)


@given(text=st.text(max_size=80))
def test_whatever_follows_the_prefix_is_refused_and_breaks_nothing(text: str) -> None:
    from datetime import UTC, datetime

    keys = ApiKeys(dict, lambda: datetime.now(UTC))
    with pytest.raises(UnauthenticatedError):
        keys.by_secret(f"csk_{text}")
