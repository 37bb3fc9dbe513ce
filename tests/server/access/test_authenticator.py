"""Who a caller is, by what it shows and by nothing else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade_server.access.authenticator import Authenticator, bearer_of
from cascade_server.access.principal import Principal
from cascade_server.access.refusals import Refusal
from cascade_server.control.state import Role
from cascade_server.errors import UnauthenticatedError
from cascade_server.settings import Settings

ANONYMOUS = Principal("anonymous", None, Role.ADMIN)


@pytest.fixture
def made(ring: Any, now: Any) -> Any:
    """Makes an authenticator with these settings."""
    return lambda **chosen: Authenticator(Settings(**chosen), ring.state, now=lambda: now[-1])


@pytest.fixture
def jwt_settings(signer: Any, tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "jwks.json"
    path.write_bytes(signer.published)
    return {"jwt_jwks": str(path), "jwt_audience": "cascade", "jwt_issuer": "https://issuer.example"}


def bearing(value: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {value}"), *more)


def shown(issued: Any, *names: str, common: str = "") -> dict[str, list[bytes]]:
    """The auth context of a connection with this certificate."""
    return {
        "transport_security_type": [b"ssl"],
        "x509_pem_cert": [issued.certificate],
        "x509_common_name": [common.encode()],
        "x509_subject_alternative_name": [name.encode() for name in names],
    }


@pytest.mark.parametrize("origin", ["ipv4:127.0.0.1:5", "ipv6:%5B::1%5D:5", "unix:"])
async def test_before_the_first_key_callers_on_this_machine_are_operators(made: Any, call: Any, origin: str) -> None:
    assert await made().authenticate(call(origin=origin)) == ANONYMOUS


async def test_before_the_first_key_callers_from_elsewhere_learn_how_to_make_one(
    made: Any, call: Any, refusing: Any
) -> None:
    with refusing(Refusal.NO_CREDENTIALS) as refusal:
        await made().authenticate(call(origin="ipv4:10.0.0.7:5"))
    assert "cascade admin key create" in refusal.message


@pytest.mark.parametrize(
    "header",
    ["x-forwarded-for", "x-real-ip", "forwarded", "x-forwarded-client-cert", "x-envoy-external-address", "via"],
)
async def test_what_a_caller_says_of_where_it_comes_from_does_not_matter(
    made: Any, call: Any, refusing: Any, header: str
) -> None:
    elsewhere = call(((header, "127.0.0.1"), (":authority", "localhost")), origin="ipv4:10.0.0.7:5")
    with refusing(Refusal.NO_CREDENTIALS):
        await made().authenticate(elsewhere)
    assert await made().authenticate(call(((header, "10.0.0.7"),))) == ANONYMOUS


async def test_the_first_key_closes_the_server_to_its_own_machine_too(
    made: Any, call: Any, ring: Any, refusing: Any
) -> None:
    authenticator = made()
    assert await authenticator.authenticate(call()) == ANONYMOUS
    secret = ring.add("a1")
    with refusing(Refusal.NO_CREDENTIALS) as refusal:
        await authenticator.authenticate(call())
    assert "send `authorization: Bearer KEY`" in refusal.message
    assert await authenticator.authenticate(call(bearing(secret))) == Principal("a1", "acme", Role.READER)


async def test_revoking_the_last_key_opens_nothing(made: Any, call: Any, ring: Any, refusing: Any) -> None:
    authenticator = made()
    secret = ring.add("a1")
    assert await authenticator.authenticate(call(bearing(secret)))
    ring.keys = {}
    with refusing(Refusal.NO_CREDENTIALS):
        await authenticator.authenticate(call())


async def test_a_key_that_has_expired_opens_nothing(made: Any, call: Any, ring: Any, now: Any, refusing: Any) -> None:
    ring.add("a1", expires_at=now[-1] - timedelta(seconds=1))
    with refusing(Refusal.NO_CREDENTIALS):
        await made().authenticate(call())


@pytest.mark.parametrize("chosen", [{"require_credentials": True}, {"tls_client_ca": "ca.pem"}])
async def test_settings_close_the_server_before_the_first_key(
    made: Any, call: Any, refusing: Any, chosen: dict[str, Any]
) -> None:
    with refusing(Refusal.NO_CREDENTIALS):
        await made(**chosen).authenticate(call())


async def test_tokens_close_the_server_before_the_first_key(
    made: Any, call: Any, signer: Any, jwt_settings: Any, refusing: Any
) -> None:
    authenticator = made(**jwt_settings)
    await authenticator.start()
    with refusing(Refusal.NO_CREDENTIALS) as refusal:
        await authenticator.authenticate(call())
    assert "or a token" in refusal.message
    token = bearing(signer.token())
    assert await authenticator.authenticate(call(token)) == Principal("token:alice", "acme", Role.WRITER)
    await authenticator.aclose()


async def test_wrong_credentials_are_refused_where_none_would_do(made: Any, call: Any, refusing: Any) -> None:
    with refusing(Refusal.UNKNOWN_KEY):
        await made().authenticate(call(bearing("csk_a1_" + "A" * 43)))
    with refusing(Refusal.MALFORMED):
        await made().authenticate(call(bearing("password")))


async def test_a_token_is_refused_where_tokens_are_not_set_up(made: Any, call: Any, signer: Any, refusing: Any) -> None:
    with refusing(Refusal.MALFORMED) as refusal:
        await made().authenticate(call(bearing(signer.token())))
    assert "tokens are not set up" in refusal.message


async def test_a_key_is_taken_for_no_token(made: Any, call: Any, ring: Any, jwt_settings: Any, refusing: Any) -> None:
    authenticator = made(**jwt_settings)
    await authenticator.start()
    secret = ring.add("a1")
    assert (await authenticator.authenticate(call(bearing(secret)))).subject == "a1"
    with refusing(Refusal.UNKNOWN_KEY):
        await authenticator.authenticate(call(bearing(secret[:-1])))
    with refusing(Refusal.MALFORMED):
        await authenticator.authenticate(call(bearing(secret[4:])))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["Basic dXNlcjpwYXNz"], Refusal.MALFORMED),
        (["Bearer"], Refusal.MALFORMED),
        (["Bearer  "], Refusal.MALFORMED),
        (["BearerX"], Refusal.MALFORMED),
        ([""], Refusal.MALFORMED),
        ([b"Bearer \xff"], Refusal.MALFORMED),
        (["Bearer a", "Bearer a"], Refusal.CONFLICTING),
    ],
)
def test_anything_but_one_bearer_is_refused(values: list[str | bytes], kind: Refusal, refusing: Any) -> None:
    with refusing(kind):
        bearer_of([("authorization", value) for value in values])


def test_the_word_bearer_is_read_in_any_case() -> None:
    assert bearer_of([("x", "y"), ("authorization", "bearer abc")]) == "abc"
    assert bearer_of([("authorization", "BEARER  abc ")]) == "abc"
    assert bearer_of([("Authorization-x", "Bearer abc")]) is None


async def test_a_certificate_stands_for_a_key(made: Any, call: Any, ring: Any, authority: Any, refusing: Any) -> None:
    authenticator = made(tls_client_ca="ca.pem")
    issued = authority.issue("cn", "svc.example")
    connection = call(auth=shown(issued, "svc.example", common="cn"))
    with refusing(Refusal.UNKNOWN_CERTIFICATE) as refusal:
        await authenticator.authenticate(connection)
    assert "names (svc.example, cn)" in refusal.message
    ring.add("a1", "acme", Role.WRITER, certificate_name="svc.example")
    assert await authenticator.authenticate(connection) == Principal("a1", "acme", Role.WRITER)


async def test_a_certificate_that_cannot_be_read_is_refused(made: Any, call: Any, refusing: Any) -> None:
    with refusing(Refusal.MALFORMED):
        await made(tls_client_ca="ca.pem").authenticate(call(auth={"x509_pem_cert": [b"no certificate"]}))


async def test_a_certificate_counts_only_where_client_certificates_are_checked(
    made: Any, call: Any, ring: Any, authority: Any, refusing: Any
) -> None:
    ring.add("a1", certificate_name="svc.example")
    with refusing(Refusal.NO_CREDENTIALS):
        await made().authenticate(call(auth=shown(authority.issue("svc.example"), "svc.example")))


async def test_a_bearer_beside_a_certificate_that_stands_for_nobody_decides(
    made: Any, call: Any, ring: Any, authority: Any
) -> None:
    secret = ring.add("a1")
    connection = call(bearing(secret), auth=shown(authority.issue("proxy"), "proxy"))
    assert (await made(tls_client_ca="ca.pem").authenticate(connection)).subject == "a1"


async def test_credentials_that_disagree_are_refused(
    made: Any, call: Any, ring: Any, authority: Any, refusing: Any
) -> None:
    authenticator = made(tls_client_ca="ca.pem")
    auth = shown(authority.issue("svc"), "svc")
    ring.add("cert", "acme", Role.READER, certificate_name="svc")
    same = ring.add("a1", "acme", Role.READER)
    assert (await authenticator.authenticate(call(bearing(same), auth=auth))).subject == "a1"
    for other in (ring.add("b2", "globex"), ring.add("c3", "acme", Role.ADMIN), ring.add("d4", None)):
        with refusing(Refusal.CONFLICTING):
            await authenticator.authenticate(call(bearing(other), auth=auth))
    with refusing(Refusal.UNKNOWN_KEY):
        await authenticator.authenticate(call(bearing("csk_a1_" + "A" * 43), auth=auth))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["authorization", "x-cascade-tenant", "cookie"]), st.text() | st.binary())),
    st.text(),
)
async def test_no_metadata_breaks_the_check_or_passes_it(
    made: Any, call: Any, metadata: list[tuple[str, str | bytes]], bearer: str
) -> None:
    closed = made(require_credentials=True)
    for attempt in (metadata, [*metadata, ("authorization", f"Bearer {bearer}")]):
        with pytest.raises(UnauthenticatedError):
            await closed.authenticate(call(attempt))
