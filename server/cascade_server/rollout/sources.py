"""Which models, backends, addresses and key files a cascade in the store may name: those that the operator allows.

The operator's own files are not restricted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from cascade.config import CascadeConfig, EndpointConfig, JointConfig
from cascade_server.settings import Settings

_EMBEDDED = re.compile(r"embedded:[a-z0-9][a-z0-9.-]*")
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_ENDPOINT = re.compile(r"[!-~]+")
"""ASCII without spaces: other characters mean one thing to the eye and another to a resolver of names."""
_ODD = re.compile(r"[\\@?#%]|/\.{1,2}(/|$)|(?<!:)//")
"""What makes two readers of a URL disagree about its host or path."""
_PORTS = {"http": 80, "https": 443}


def check_sources(config: CascadeConfig, settings: Settings) -> list[str]:
    """What the cascade names that the settings do not allow, each with the setting that would; empty when all is well.

    Folders are compared where their links lead, and URLs by their parts.
    """
    problems: list[str] = []
    for stage in (*config.retrieve, *config.tiers):
        endpoint: EndpointConfig | None = getattr(stage, "endpoint", None)
        named = [] if endpoint is None else [*_endpoint(endpoint, settings)]
        if endpoint is None or isinstance(stage, JointConfig):  # which loads a part of its model beside the endpoint
            named.extend(_model(stage.model, settings))
        found = (*named, *_backend(getattr(stage, "backend", "auto"), settings))
        problems.extend(f"stage {stage.name!r}: {problem}" for problem in found)
    return problems


def _model(reference: str, settings: Settings) -> Iterator[str]:
    if not reference or _EMBEDDED.fullmatch(reference):
        return
    if reference.startswith(("/", "./", "../", "~")) or not _HUB_ID.fullmatch(reference) or ".." in reference:
        if not _is_under(reference, settings.model_roots):
            yield (
                f"found model {reference[:200]!r}, expected an embedded one, a folder under the setting model_roots "
                f"({_listed(settings.model_roots)}) or a hub id"
            )
    elif not any(fnmatchcase(reference, allowed) for allowed in settings.hub_models):
        allowed = _listed(settings.hub_models)
        yield f"found hub id {reference[:200]!r}, expected one that the setting hub_models allows ({allowed})"


def _backend(backend: str, settings: Settings) -> Iterator[str]:
    if backend != "auto" and backend not in settings.backends:
        allowed = _listed(settings.backends)
        yield f"found backend {backend!r}, expected auto or one that the setting backends allows ({allowed})"


def _endpoint(endpoint: EndpointConfig, settings: Settings) -> Iterator[str]:
    if not any(_begins_with(endpoint.url, allowed) for allowed in settings.endpoint_urls):
        shown = _parts(endpoint.url)
        url = endpoint.url if shown is None or shown.username is None else "a URL with a user name"
        allowed = _listed(settings.endpoint_urls)
        yield f"found endpoint {url[:200]!r}, expected a URL that begins as the setting endpoint_urls says ({allowed})"
    key_file = endpoint.api_key_file
    if key_file is not None and not _is_under(key_file, settings.secret_roots):
        allowed = _listed(settings.secret_roots)
        yield f"found api_key_file {key_file[:200]!r}, expected a file under the setting secret_roots ({allowed})"


def _is_under(path: str, roots: Sequence[Path]) -> bool:
    """Whether `path`, with all links followed, lies below one of `roots`."""
    try:
        real = Path(path).expanduser().resolve()
        return any(real != root and real.is_relative_to(root) for root in (root.resolve() for root in roots))
    except (OSError, RuntimeError, ValueError):  # links in a circle, a home that is not there, a NUL
        return False


def _begins_with(url: str, allowed: str) -> bool:
    """Whether `url` is at the same scheme, host and port as `allowed`, and at its path or below."""
    found, wanted = _parts(url), _parts(allowed)
    if found is None or wanted is None or found.scheme not in _PORTS or not found.hostname:
        return False
    if _ENDPOINT.fullmatch(url) is None or _ODD.search(url) is not None:
        return False
    if (found.scheme, found.hostname, _port(found)) != (wanted.scheme, wanted.hostname, _port(wanted)):
        return False
    below = wanted.path.rstrip("/")
    return found.path == below or found.path.startswith(f"{below}/")


def _parts(url: str) -> SplitResult | None:
    """The parts of `url`, None when it has none that make sense."""
    try:
        parts = urlsplit(url)
        _port(parts)
    except ValueError:
        return None
    return parts


def _port(parts: SplitResult) -> int | None:
    return _PORTS.get(parts.scheme) if parts.port is None else parts.port


def _listed(allowed: Sequence[object]) -> str:
    return ", ".join(map(str, allowed)) or "empty"
