"""One tenant as it is now: what it may use, and what answers for each of its cascades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cascade.budget import Account
from cascade.config import CascadeConfig
from cascade.errors import NotFoundError
from cascade_server.control.state import Quota
from cascade_server.rollout.serving import Chosen, Serving


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's cascades by name; what a request was given of it stays as it is, whatever changes meanwhile."""

    name: str
    serving: Mapping[str, Serving] = field(default_factory=dict)
    quota: Quota = field(default_factory=Quota)

    def choose(self, cascade: str, key: str) -> Chosen:
        """What answers a request for `cascade`: for the same `key` the same version.

        Raises NotFoundError, or why the cascade cannot be used: ModelLoadError, ConfigError or UnavailableError.
        """
        if cascade not in self.serving:
            raise NotFoundError("cascade", cascade, sorted(self.serving))
        return self.serving[cascade].choose(self.name, key)

    @property
    def configs(self) -> Iterator[CascadeConfig]:
        """What every version says that runs, and every one of the folder that cannot."""
        return (wired.cascade.config for serving in self.serving.values() for wired in serving.wired)

    @property
    def account(self) -> Account:
        """On which its work is done."""
        return Account(self.name, self.quota.weight, self.quota.priority)
