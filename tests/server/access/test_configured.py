"""Settings about access that do not fit together are found before the server listens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cascade.errors import ConfigError
from cascade_server.access.configured import check_access
from cascade_server.settings import Settings

JWT = {"jwt_jwks": "https://i.example/keys", "jwt_audience": "cascade", "jwt_issuer": "https://i.example"}


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"require_credentials": True},
        {"tls_certificate": "c", "tls_key": "k"},
        {"tls_certificate": "c", "tls_key": "k", "tls_client_ca": "a"},
        JWT,
        JWT | {"jwt_jwks": "/etc/cascade/jwks.json"},
        JWT | {"jwt_jwks": "jwks.json"},
    ],
)
def test_settings_that_fit_are_accepted(chosen: dict[str, Any]) -> None:
    check_access(Settings(**chosen))


@pytest.mark.parametrize(
    ("chosen", "advice"),
    [
        ({"tls_certificate": "c"}, ["set CASCADE_TLS_KEY"]),
        ({"tls_key": "k"}, ["set CASCADE_TLS_CERTIFICATE"]),
        ({"tls_client_ca": "a"}, ["set CASCADE_TLS_CERTIFICATE and CASCADE_TLS_KEY"]),
        ({"jwt_jwks": "jwks.json"}, ["set CASCADE_JWT_AUDIENCE", "set CASCADE_JWT_ISSUER"]),
        (JWT | {"jwt_audience": ""}, ["set CASCADE_JWT_AUDIENCE"]),
        ({"jwt_audience": "cascade", "jwt_issuer": "i"}, ["set CASCADE_JWT_JWKS", "set CASCADE_JWT_JWKS"]),
        (JWT | {"jwt_jwks": "http://i.example/keys"}, ["scheme 'http', expected https:// or a file"]),
        (JWT | {"jwt_jwks": "file:///etc/keys"}, ["scheme 'file', expected https:// or a file"]),
        (JWT | {"jwt_tenant_claim": "x", "jwt_role_claim": "x"}, ["expected the names of two claims"]),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_what_to_set(chosen: dict[str, Any], advice: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        check_access(Settings(**chosen))
    assert len(error.value.problems) == len(advice)
    assert all(said in problem for said, problem in zip(advice, error.value.problems, strict=True))


async def test_a_server_does_not_start_with_them(serve: Any, configs: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CASCADE_TLS_KEY"):
        async with serve(tmp_path, {"plain": configs["plain"]}, tls_certificate=tmp_path / "c"):
            raise AssertionError("it started")
