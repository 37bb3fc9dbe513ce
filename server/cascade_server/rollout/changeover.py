"""What answers next, worked out from what the folder and the store say, while what answers now goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cascade.config import CascadeConfig
from cascade.errors import CascadeError, ConfigError
from cascade_server.cascade_files import NAME
from cascade_server.control.state import Rollout, State, TenantState
from cascade_server.rollout.serving import Serving, Wired, refusal
from cascade_server.rollout.tenant import Tenant

Configs = Mapping[str, Mapping[str, CascadeConfig]]
Place = tuple[str, str, int]
"""A tenant, a cascade of it and a version of that, 0 for one of the folder."""

Wire = Callable[[Place, CascadeConfig], Wired]
"""Gives the wired version of a place. Raises ConfigError when it may not be run here."""


@dataclass(slots=True)
class Changeover:
    """One pass: `tenants()` makes the next whole set of tenants, of versions that can be used wherever there are any.

    `wired` are all versions that it is made of or would be if their models were loaded; `problems` says why versions
    that should answer do not.
    """

    before: Mapping[str, Tenant]
    files: Configs
    state: State
    wire: Wire
    wired: dict[Place, Wired] = field(default_factory=dict)
    problems: dict[Place, CascadeError] = field(default_factory=dict)

    def tenants(self) -> dict[str, Tenant]:
        """Every tenant of the folder and of the store."""
        return {name: self._tenant(name) for name in sorted({*self.files, *filter(self._named, self.state.tenants)})}

    def _tenant(self, name: str) -> Tenant:
        stored = self.state.tenants.get(name)
        before = self.before.get(name, Tenant(name))
        serving = {
            cascade: self._file(name, cascade, config)
            for cascade, config in self.files.get(name, {}).items()
            if stored is None or cascade not in stored.rollouts
        }
        if stored is not None:
            serving |= self._stored(name, stored, before)
        tenant = Tenant(name, serving) if stored is None else Tenant(name, serving, stored.quota)
        return before if tenant == before else tenant

    def _stored(self, name: str, stored: TenantState, before: Tenant) -> dict[str, Serving]:
        return {
            cascade: self._rolled_out(name, rollout, before.serving.get(cascade))
            for cascade, rollout in stored.rollouts.items()
            if self._named(name, cascade)
        }

    def _file(self, tenant: str, name: str, config: CascadeConfig) -> Serving:
        wired = self._version((tenant, name, 0), config)
        assert wired is not None  # the operator's files may name anything
        return Serving(wired) if wired.usable else Serving(wired, refuse=refusal(name, wired.problem))

    def _rolled_out(self, tenant: str, rollout: Rollout, before: Serving | None) -> Serving:
        name = rollout.cascade
        versions = {number: self._numbered(tenant, name, number) for number in rollout.numbers}
        active = versions[rollout.active]
        if active is None or not active.usable:
            last = self._last_good(tenant, rollout, before)
            if last is None:
                problem = self.problems.get((tenant, name, rollout.active))
                return Serving(active, refuse=refusal(name, problem))
            active = last
        canary, shadow = (versions[n] if n is not None else None for n in (rollout.canary, rollout.shadow))
        return Serving(
            active,
            canary if canary is not None and canary.usable else None,
            rollout.canary_percent,
            shadow if shadow is not None and shadow.usable else None,
            rollout.shadow_percent,
        )

    def _last_good(self, tenant: str, rollout: Rollout, before: Serving | None) -> Wired | None:
        """What answers instead of a version that cannot: what answered so far, or after a start the one before it."""
        last = None if before is None else before.answering
        if last is not None:
            self.wired[tenant, rollout.cascade, last.number] = last
            return last
        failed = (tenant, rollout.cascade, rollout.active) in self.problems
        if (
            not failed
            or rollout.previous is None
            or (tenant, rollout.cascade, rollout.previous) not in self.state.configs
        ):
            return None
        previous = self._numbered(tenant, rollout.cascade, rollout.previous)
        return previous if previous is not None and previous.usable else None

    def _numbered(self, tenant: str, cascade: str, number: int) -> Wired | None:
        place = (tenant, cascade, number)
        if place in self.state.configs:
            return self._version(place, self.state.configs[place])
        problem = self.state.unreadable.get(place, "is not in the store; activate a version that is")
        self.problems[place] = ConfigError(f"cascade {cascade!r} version {number}", [problem])
        return None

    def _version(self, place: Place, config: CascadeConfig) -> Wired | None:
        try:
            wired = self.wired[place] = self.wire(place, config)
        except ConfigError as error:
            self.problems[place] = error
            return None
        if wired.problem is not None:
            self.problems[place] = wired.problem
        return wired

    def _named(self, tenant: str, cascade: str | None = None) -> bool:
        """Whether these can be names: they become folders and labels, and whoever writes the store is not believed."""
        name = tenant if cascade is None else cascade
        if NAME.fullmatch(name):
            return True
        self.problems[tenant, cascade or "", 0] = ConfigError("the store", [f"found {name[:80]!r}, which is no name"])
        return False
