"""Prints what the control plane keeps, as tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from cascade.cli import output

if TYPE_CHECKING:
    from cascade_client import AuditEntry, Key, Quota, Rollout, Tenant, Usage, Versions


def print_tenants(tenants: Iterable[Tenant]) -> None:
    """One line for each tenant."""
    found = output.table("tenant", "quota", "cascades", "created (UTC)")
    for tenant in tenants:
        cascades = ", ".join(describe(rollout) for rollout in tenant.rollouts.values())
        found.add_row(tenant.name, limits(tenant.quota), cascades or "none", _time(tenant.created_at))
    output.print_table(found)


def limits(quota: Quota) -> str:
    """What a quota limits, in the words of the options that set it."""
    from cascade_client import Quota

    usual = Quota()
    set_here = {f.name: getattr(quota, f.name) for f in fields(quota)}
    said = [
        f"{name} {value:,g}" if isinstance(value, int | float) else f"{name} {value}"
        for name, value in set_here.items()
        if value != getattr(usual, name)
    ]
    return ", ".join(said) or "no limits"


def describe(rollout: Rollout) -> str:
    """Which versions of a cascade answer, in a line."""
    said = [f"{rollout.cascade}: version {rollout.active} is active"]
    if rollout.canary is not None:
        said.append(f"canary version {rollout.canary} at {rollout.canary_percent:g} %")
    if rollout.shadow is not None:
        said.append(f"shadow version {rollout.shadow} at {rollout.shadow_percent:g} %")
    return ", ".join(said)


def print_versions(versions: Versions) -> None:
    """One line for each version, with what it does now."""
    found = output.table("cascade", "version", "does", "hash", "by", "created (UTC)", "description", numbers=(1,))
    for version in versions.versions:
        rollout = versions.rollouts.get(version.cascade)
        found.add_row(
            version.cascade,
            str(version.version),
            "" if rollout is None else _part(rollout, version.version),
            version.config_hash,
            version.created_by,
            _time(version.created_at),
            output.plain(version.description),
        )
    output.print_table(found)


def print_keys(keys: Iterable[Key]) -> None:
    """One line for each key."""
    found = output.table("key", "tenant", "role", "label", "state", "created (UTC)", "expires (UTC)")
    now = datetime.now(UTC)
    for key in keys:
        expired = key.expires_at is not None and key.expires_at <= now
        state = "revoked" if key.revoked_at is not None else "expired" if expired else "in force"
        label = key.label if not key.certificate_name else f"{key.label} (certificate {key.certificate_name})".strip()
        expires = "never" if key.expires_at is None else _time(key.expires_at)
        tenant = key.tenant or "all: an operator's"
        found.add_row(key.key_id, tenant, key.role.value, label, state, _time(key.created_at), expires)
    output.print_table(found)


def print_audit(entries: Iterable[AuditEntry]) -> None:
    """One line for each change: its number, when, who, what to whom, and what it changed."""
    for entry in entries:
        what = " ".join(part for part in dict.fromkeys((entry.action, entry.tenant, entry.subject)) if part)
        changed = output.plain(", ".join(_changes(entry)))
        who = output.plain(entry.actor)
        typer.echo(f"{entry.number}  {_time(entry.at)}  {who}  {what}{': ' if changed else ''}{changed}")


def print_usage(usage: Iterable[Usage]) -> None:
    """One line for each day, tenant and cascade, and their sum."""
    usage = tuple(usage)
    found = output.table("day", "tenant", "cascade", "requests", "degraded", "tokens", "cost", numbers=(3, 4, 5, 6))
    for row in usage:
        found.add_row(row.day, row.tenant, row.cascade, *_sums([row]))
    found.add_section()
    found.add_row("all", "", "", *_sums(usage))
    output.print_table(found)


def print_difference(diff: str, changes: Iterable[str]) -> None:
    """The texts' difference and what it means."""
    typer.echo(diff, nl=False)
    changes = tuple(map(output.plain, changes))
    typer.echo("\n".join(changes) if changes else "the two mean the same")


def _sums(usage: Iterable[Usage]) -> list[str]:
    usage = tuple(usage)
    costs = [row.cost for row in usage if row.cost is not None]
    counts = [sum(getattr(row, name) for row in usage) for name in ("requests", "degraded", "tokens")]
    return [*(f"{count:,}" for count in counts), f"{sum(costs):.6f}" if costs else ""]


def _part(rollout: Rollout, version: int) -> str:
    said = {
        rollout.active: "active",
        rollout.canary: f"canary {rollout.canary_percent:g} %",
        rollout.shadow: f"shadow {rollout.shadow_percent:g} %",
    }
    return said.get(version, "")


def _changes(entry: AuditEntry) -> list[str]:
    """What differs between before and after, `name old -> new`; of what is new or gone, what it says."""
    old, new = (dict(_flat("", json.loads(text))) if text else {} for text in (entry.before, entry.after))
    if entry.before and entry.after:
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        return [f"{name} {_said(old.get(name))} -> {_said(new.get(name))}" for name in names]
    # What nobody chose, or the line says already, is left out.
    told = (None, "", 0, entry.tenant, entry.subject)
    return [f"{n} {_said(v)}" for n, v in {**old, **new}.items() if v not in told and n != "created_at"]


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}" if path else key, inner)
    else:
        yield path, value


def _said(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
