"""Which keys of a published set tokens are checked against."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from cascade_server.access.jwks import MOST_BYTES, JwksError, parse_jwks


def published(*entries: Any) -> bytes:
    return json.dumps({"keys": entries}).encode()


def rsa_entry(bits: int, **fields: Any) -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True), "kid": "k", **fields}


def ec_entry(curve: ec.EllipticCurve, **fields: Any) -> dict[str, Any]:
    key = ec.generate_private_key(curve).public_key()
    return {**jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True), "kid": "k", **fields}


def test_keys_are_found_by_their_kid_and_the_one_algorithm_they_are_for(signer: Any) -> None:
    assert set(parse_jwks(signer.published)) == {("rsa", "RS256"), ("ec", "ES256")}


def test_a_secret_key_in_a_set_never_checks_a_token(signer: Any) -> None:
    secret = {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"}
    assert ("shared", "HS256") not in parse_jwks(published(secret, *signer.key_set["keys"]))
    with pytest.raises(JwksError, match="keys\\[0\\] is neither for RS256 nor for ES256"):
        parse_jwks(published(secret))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (lambda: rsa_entry(1024), "is no public key of its kind"),
        (lambda: ec_entry(ec.SECP384R1()), "is no public key of its kind"),
        (lambda: ec_entry(ec.SECP256R1(), x="AA"), "is no public key of its kind"),
        (lambda: ec_entry(ec.SECP256R1(), use="enc"), "is not for signatures"),
        (lambda: ec_entry(ec.SECP256R1(), alg="ES384"), "is neither for RS256 nor for ES256"),
        (lambda: ec_entry(ec.SECP256R1(), kty="RSA"), "is no public key of its kind"),
        (lambda: ec_entry(ec.SECP256R1(), kid=7), "has no kid"),
        (lambda: ec_entry(ec.SECP256R1(), kid=""), "has no kid"),
        (lambda: ec_entry(ec.SECP256R1(), d="AA"), "is a private key, which must never be published"),
        (lambda: {"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "k"}, "is neither for RS256 nor for ES256"),
        (lambda: ["kty"], "is no object"),
        (lambda: {"kty": ["RSA"], "kid": "k"}, "is neither for RS256 nor for ES256"),
    ],
)
def test_a_key_that_is_no_use_is_left_out_with_its_reason(entry: Any, problem: str, signer: Any) -> None:
    made = entry()
    with pytest.raises(JwksError) as error:
        parse_jwks(published(made))
    assert f"keys[0] {problem}" in str(error.value)
    assert len(parse_jwks(published(made, *signer.key_set["keys"]))) == 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", 'has no list "keys"'),
        (b'{"keys": {}}', 'has no list "keys"'),
        (b'{"keys": []}', "has no key for RS256 or ES256"),
        (b" " * (MOST_BYTES + 1), "has more than"),
    ],
)
def test_what_is_no_key_set_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(JwksError, match=problem):
        parse_jwks(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kty", "kid", "n", "e"]), inner),
    max_leaves=6,
)


@given(
    entries=st.lists(_JSON | st.fixed_dictionaries({"kty": st.sampled_from(["RSA", "EC"]), "kid": _JSON}), max_size=3)
)
def test_any_json_in_a_set_is_either_keys_or_refused(entries: list[Any]) -> None:
    with pytest.raises(JwksError):
        parse_jwks(published(*entries))
