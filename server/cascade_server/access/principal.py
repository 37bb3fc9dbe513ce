"""A caller whose credentials were checked."""

from __future__ import annotations

from dataclasses import dataclass

from cascade_server.control.state import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, called `subject` in logs and audit entries; `tenant` None is an operator, who may act for any."""

    subject: str
    tenant: str | None
    role: Role
