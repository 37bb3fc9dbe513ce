"""Whether the settings about access fit together, found out before the server listens."""

from __future__ import annotations

from urllib.parse import urlsplit

from cascade.errors import ConfigError
from cascade_server.settings import Settings


def check_access(settings: Settings) -> None:
    """Raises ConfigError with everything that does not fit, and what to set."""
    problems = [*_tls(settings), *_jwt(settings)]
    if problems:
        raise ConfigError("settings", problems)


def _tls(settings: Settings) -> list[str]:
    problems: list[str] = []
    if settings.tls_certificate is not None and settings.tls_key is None:
        problems.append("tls_certificate is set without tls_key; set CASCADE_TLS_KEY to its private key")
    if settings.tls_key is not None and settings.tls_certificate is None:
        problems.append("tls_key is set without tls_certificate; set CASCADE_TLS_CERTIFICATE to its chain")
    if settings.tls_client_ca is not None and settings.tls_certificate is None:
        problems.append(
            "tls_client_ca is set without tls_certificate; set CASCADE_TLS_CERTIFICATE and CASCADE_TLS_KEY too, since "
            "client certificates are shown within TLS"
        )
    return problems


def _jwt(settings: Settings) -> list[str]:
    rest = {"jwt_audience": settings.jwt_audience, "jwt_issuer": settings.jwt_issuer}
    if not settings.jwt_jwks:
        return [
            f"{name} is set without jwt_jwks; set CASCADE_JWT_JWKS to the keys that tokens are signed with"
            for name, value in rest.items()
            if value
        ]
    problems = [
        f"jwt_jwks is set without {name}; set CASCADE_{name.upper()}, or tokens made for others would be accepted"
        for name, value in rest.items()
        if not value
    ]
    scheme = urlsplit(settings.jwt_jwks).scheme if "://" in settings.jwt_jwks else ""
    if scheme not in ("", "https"):
        problems.append(f"jwt_jwks is an address of scheme {scheme!r}, expected https:// or a file")
    if settings.jwt_tenant_claim == settings.jwt_role_claim:
        both = f"jwt_tenant_claim and jwt_role_claim are both {settings.jwt_role_claim!r}"
        problems.append(f"{both}, expected the names of two claims")
    return problems
