"""Tokens are accepted from the right issuer for the right audience, and no forged one is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade_server.access.key_sources import KeyFile
from cascade_server.access.principal import Principal
from cascade_server.access.refusals import Refusal
from cascade_server.access.tokens import MOST_CHARS, Tokens
from cascade_server.control.state import Role
from cascade_server.errors import UnauthenticatedError

HOUR = 3600


@pytest_asyncio.fixture
async def tokens(signer: Any, tmp_path: Path) -> Tokens:
    path = tmp_path / "jwks.json"
    path.write_bytes(signer.published)
    source = KeyFile(path)
    await source.start()
    return Tokens(source, "cascade", "https://issuer.example", "cascade_tenant", "cascade_role")


@pytest.fixture
def soon(signer: Any) -> int:
    """An hour from now, in seconds since 1970."""
    return int(signer.claims()["exp"])


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_a_token_stands_for_its_subject(tokens: Tokens, signer: Any, algorithm: str) -> None:
    assert await tokens.principal(signer.token(algorithm=algorithm)) == Principal("token:alice", "acme", Role.WRITER)


async def test_an_operators_token_says_so(tokens: Tokens, signer: Any) -> None:
    token = signer.token(cascade_tenant="*", cascade_role="admin")
    assert await tokens.principal(token) == Principal("token:alice", None, Role.ADMIN)


async def test_one_of_several_audiences_is_enough(tokens: Tokens, signer: Any) -> None:
    assert await tokens.principal(signer.token(aud=["other", "cascade"]))


async def test_clocks_may_be_a_few_seconds_apart(tokens: Tokens, signer: Any, soon: int) -> None:
    now = soon - HOUR
    assert await tokens.principal(signer.token(nbf=now + 5, iat=now + 5))


async def refused(tokens: Tokens, token: str, kind: Refusal = Refusal.INVALID_TOKEN) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        await tokens.principal(token)
    assert caught.value.kind == kind, caught.value
    assert len(token) < 20 or token not in str(caught.value)
    return str(caught.value)


async def test_a_token_that_was_accepted_is_refused_once_its_key_is_withdrawn_or_it_expires(
    signer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(signer.published)
    source = KeyFile(path)
    await source.start()
    tokens = Tokens(source, "cascade", "https://issuer.example", "cascade_tenant", "cascade_role")
    soon = int(time.time())
    short, token = signer.token(exp=soon), signer.token()
    for _ in range(2):
        assert await tokens.principal(token)
        assert await tokens.principal(short)
    checks: list[str] = []

    def counting(checked: str, *args: Any, **kwargs: Any) -> Any:
        checks.append(checked)
        raise jwt.ExpiredSignatureError

    monkeypatch.setattr(jwt, "decode", counting)
    assert await tokens.principal(token)
    await refused(tokens, short, Refusal.EXPIRED_TOKEN)
    assert checks == [short]
    path.write_text(json.dumps({"keys": signer.key_set["keys"][:1]}))
    assert "not in the key set" in await refused(tokens, token)


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
async def test_a_token_that_says_it_needs_no_signature_is_refused(
    tokens: Tokens, signer: Any, forge: Any, name: str
) -> None:
    for signature in (b"", b"x"):
        message = await refused(tokens, forge({"alg": name, "kid": "ec"}, signer.claims(), signature))
        assert "expected one of RS256, ES256" in message


async def test_a_public_key_is_not_taken_for_a_shared_secret(tokens: Tokens, signer: Any) -> None:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "rsa"}).encode()).rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(signer.claims()).encode()).rstrip(b"=")
    published = signer.key_set["keys"][0]
    for secret in (signer.public_pem, signer.public_pem.strip(), published["n"].encode(), b""):
        mac = hmac.new(secret, head + b"." + body, hashlib.sha256).digest()
        token = b".".join((head, body, base64.urlsafe_b64encode(mac).rstrip(b"="))).decode()
        assert "is signed by 'HS256'" in await refused(tokens, token)


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "ES384", "PS256", "RS512", "EdDSA", 256, None, ["ES256"]])
async def test_any_other_algorithm_is_refused(tokens: Tokens, signer: Any, forge: Any, algorithm: Any) -> None:
    await refused(tokens, forge({"alg": algorithm, "kid": "ec"}, signer.claims(), b"x" * 64))


async def test_a_key_checks_only_the_algorithm_it_is_for(tokens: Tokens, signer: Any) -> None:
    assert "not in the key set" in await refused(tokens, signer.token(kid="rsa"))
    assert "not in the key set" in await refused(tokens, signer.token(algorithm="RS256", kid="ec"))


@pytest.mark.parametrize(
    "kid",
    [
        "nobody",
        "../../etc/passwd",
        "/dev/null",
        "ec' OR '1'='1",
        "https://evil.example/keys",
        "ec\x00",
        "EC",
        "k" * 300,
    ],
)
async def test_a_kid_only_chooses_among_the_keys_that_are_known(tokens: Tokens, signer: Any, kid: str) -> None:
    await refused(tokens, signer.token(kid=kid))


@pytest.mark.parametrize("kid", [None, 7, "", ["ec"], {"ec": 1}])
async def test_a_token_that_names_no_key_is_refused(tokens: Tokens, signer: Any, forge: Any, kid: Any) -> None:
    header = {"alg": "ES256"} | ({} if kid is None else {"kid": kid})
    with pytest.raises(UnauthenticatedError):
        await tokens.principal(forge(header, signer.claims(), b"x" * 64))


@pytest.mark.parametrize("kid", ["ec", "mine"])
async def test_keys_that_a_token_brings_along_or_points_to_are_not_used(tokens: Tokens, signer: Any, kid: str) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    brought = jwt.algorithms.ECAlgorithm.to_jwk(own.public_key(), as_dict=True) | {"kid": kid}
    headers = {
        "kid": kid,
        "jwk": brought,
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/chain",
        "x5c": ["MIIB"],
    }
    await refused(tokens, jwt.encode(signer.claims(), own, "ES256", headers))


async def test_what_a_good_token_brings_along_is_ignored(tokens: Tokens, signer: Any) -> None:
    headers = {"jku": "https://evil.example/keys", "jwk": {"kty": "oct", "k": "AA"}, "typ": "at+jwt"}
    assert await tokens.principal(signer.token(headers=headers))


async def test_a_signature_by_another_key_is_refused(tokens: Tokens, signer: Any) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    assert "does not check" in await refused(tokens, jwt.encode(signer.claims(), other, "ES256", {"kid": "ec"}))


async def test_claims_that_were_changed_after_signing_are_refused(tokens: Tokens, signer: Any, forge: Any) -> None:
    head, _, signature = signer.token(cascade_role="reader").split(".")
    for changed in ({"cascade_role": "admin"}, {"cascade_tenant": "globex"}, {"cascade_tenant": "*"}):
        body = forge({}, signer.claims(**changed)).split(".")[1]
        assert "does not check" in await refused(tokens, f"{head}.{body}.{signature}")


async def test_a_token_for_another_audience_or_from_another_issuer_is_refused(tokens: Tokens, signer: Any) -> None:
    for aud in ("other", ["other"], [], "", "CASCADE", {"cascade": 1}, 7, None):
        await refused(tokens, signer.token(aud=aud))
    for iss in ("https://evil.example", "https://issuer.example/", "", None):
        await refused(tokens, signer.token(iss=iss))


async def test_an_issuer_or_subject_of_another_type_is_refused(tokens: Tokens, signer: Any) -> None:
    # PyJWT signs no such claims, so they are signed as bytes.
    for changed in ({"iss": ["https://issuer.example"]}, {"sub": 7}, {"sub": ["alice"]}, {"sub": {}}):
        claims = json.dumps(signer.claims() | changed).encode()
        await refused(tokens, jwt.PyJWS().encode(claims, signer.ec, "ES256", {"kid": "ec"}))


@pytest.mark.parametrize("subject", [None, "", "a" * 300, "alice\nrequest code=OK", "\x00"])
async def test_a_token_must_say_who_it_is_for(tokens: Tokens, signer: Any, subject: Any) -> None:
    await refused(tokens, signer.token(sub=subject))


async def test_an_expired_token_is_refused(tokens: Tokens, signer: Any, soon: int) -> None:
    message = await refused(tokens, signer.token(exp=soon - HOUR - 60), Refusal.EXPIRED_TOKEN)
    assert message == "the token has expired"


async def test_a_token_that_never_expires_is_refused(tokens: Tokens, signer: Any, soon: int) -> None:
    for exp in (None, str(soon), "soon", [soon], {}, True):
        with pytest.raises(UnauthenticatedError):
            await tokens.principal(signer.token(exp=exp))
    for text in ("1e999", "Infinity", "NaN", "null"):
        claims = json.dumps(signer.claims()).replace(str(soon), text).encode()
        with pytest.raises(UnauthenticatedError):
            await tokens.principal(jwt.PyJWS().encode(claims, signer.ec, "ES256", {"kid": "ec"}))


async def test_a_token_from_the_future_is_refused(tokens: Tokens, signer: Any, soon: int) -> None:
    for claim in ("nbf", "iat"):
        assert "is not valid yet" in await refused(tokens, signer.token(**{claim: soon}))
        for wrong in ("later", [1], True):
            await refused(tokens, signer.token(**{claim: wrong}))


@pytest.mark.parametrize("role", [None, "", "owner", "ADMIN", "admin ", 3, True, ["admin"], {"admin": 1}])
async def test_a_token_without_one_of_the_roles_is_refused(tokens: Tokens, signer: Any, role: Any) -> None:
    message = await refused(tokens, signer.token(cascade_role=role))
    assert "the claim 'cascade_role' must be one of reader, writer, admin" in message


async def test_a_token_without_a_tenant_is_refused_and_no_operators(tokens: Tokens, signer: Any) -> None:
    message = await refused(tokens, signer.token(cascade_tenant=None, cascade_role="admin"))
    assert "the claim 'cascade_tenant' must name one, or be '*' for an operator" in message


@pytest.mark.parametrize(
    "tenant", ["", "**", ["*"], "ACME", "../acme", "acme/x", "a" * 64, "acme\n", 7, True, ["acme"], {}]
)
async def test_a_tenant_that_is_no_name_is_refused_and_makes_no_operator(
    tokens: Tokens, signer: Any, tenant: Any
) -> None:
    await refused(tokens, signer.token(cascade_tenant=tenant))


async def test_a_tenant_of_null_makes_no_operator(tokens: Tokens, signer: Any) -> None:
    token = jwt.encode(signer.claims() | {"cascade_tenant": None}, signer.ec, "ES256", {"kid": "ec"})
    await refused(tokens, token)


async def test_header_fields_that_must_be_understood_are_not(tokens: Tokens, signer: Any, forge: Any) -> None:
    for header in ({"crit": ["exp"], "exp": 1}, {"crit": []}, {"crit": "b64"}, {"crit": ["b64"], "b64": True}):
        with pytest.raises(UnauthenticatedError):
            await tokens.principal(forge({"alg": "ES256", "kid": "ec", **header}, signer.claims(), b"x" * 64))
    detached = jwt.PyJWS().encode(
        json.dumps(signer.claims()).encode(), signer.ec, "ES256", {"kid": "ec"}, is_payload_detached=True
    )
    with pytest.raises(UnauthenticatedError):
        await tokens.principal(detached)


async def test_a_token_that_is_too_long_is_refused_before_anything_of_it_is_read(
    tokens: Tokens, signer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await tokens.principal(signer.token(note="x" * 1000))
    monkeypatch.setattr(jwt, "get_unverified_header", None)
    message = await refused(tokens, signer.token(note="x" * MOST_CHARS))
    assert f"expected at most {MOST_CHARS}" in message


@pytest.mark.parametrize(
    "token", ["x", ".", "..", "...", "e30.e30.", "e30.e30.e30", "W10.e30.AA", "a.b.c.d.e", "é.é.é", "bnVsbA.e30.AA"]
)
async def test_what_is_no_token_is_refused(tokens: Tokens, token: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await tokens.principal(token)


async def test_deeply_nested_json_is_refused(tokens: Tokens, signer: Any) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 4000).rstrip(b"=").decode()
    head, body, signature = signer.token().split(".")
    for token in (f"{deep}.{body}.{signature}", f"{head}.{deep}.{signature}"):
        with pytest.raises(UnauthenticatedError):
            await tokens.principal(token)
    signed = jwt.PyJWS().encode(b"[" * 4000, signer.ec, "ES256", {"kid": "ec"})
    await refused(tokens, signed)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(data=st.data())
async def test_a_token_with_any_character_changed_is_refused(tokens: Tokens, signer: Any, data: Any) -> None:
    token = signer.token()
    # The last character of a part carries bits that are no part of it, and is covered by the strict decoding.
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != token[place]))
    with pytest.raises(UnauthenticatedError):
        await tokens.principal(token[:place] + other + token[place + 1 :])
