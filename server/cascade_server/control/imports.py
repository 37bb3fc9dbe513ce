"""Brings a folder of cascade files, TENANT/NAME.yaml, into the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cascade.errors import AlreadyExistsError, ConfigError
from cascade_server.cascade_files import read_cascades
from cascade_server.control.state import Quota, Version
from cascade_server.control.store import Store


def read_texts(folder: Path) -> dict[str, dict[str, str]]:
    """The text of every cascade by tenant and name. Raises ConfigError with the problems of all files."""
    return {
        tenant: {name: _text(folder / tenant / f"{name}.yaml") for name in cascades}
        for tenant, cascades in read_cascades(folder, {}).items()
    }


def import_folder(store: Store, actor: str, folder: Path) -> Sequence[tuple[Version, bool]]:
    """Put every file as a version and activate it; with each version, whether it is new.

    Tenants that the store does not have are made, without limits. Nothing is written unless all files are sound;
    importing the same files again changes nothing. Raises ConfigError, StoreError.
    """
    imported: list[tuple[Version, bool]] = []
    known = {tenant.name for tenant in store.tenants()}
    for tenant, texts in read_texts(folder).items():
        if tenant not in known:
            _make(store, actor, tenant)
        for cascade, text in texts.items():
            version, new = store.put_version(actor, tenant, cascade, text)
            store.activate(actor, tenant, cascade, version.number)
            imported.append((version, new))
    return imported


def _make(store: Store, actor: str, tenant: str) -> None:
    try:
        store.create_tenant(actor, tenant, Quota())
    except AlreadyExistsError:
        return  # another import was faster


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}"]) from error
