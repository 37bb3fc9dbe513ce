"""The names that may be labels: those of configured tenants, cascades and stages, and `other` for all the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from cascade_server.interceptors.record import OTHER

Stages = Mapping[str, Mapping[str, Set[str]]]
"""Names of stages by tenant and cascade."""


class Names:
    """Whatever callers make up, there are no more labels than tenants, cascades and stages, and one."""

    def __init__(self) -> None:
        self._stages: Stages = {}

    def replace(self, stages: Stages) -> list[dict[str, str]]:
        """These are all names from now on. Returns the labels of those that are gone."""
        before, self._stages = self._stages, stages
        return list(_gone(before, stages))

    def tenant(self, name: str) -> str:
        """The label for a tenant."""
        return name if name in self._stages else OTHER

    def cascade(self, tenant: str, name: str) -> str:
        """The label for a cascade of `tenant`."""
        return name if name in self._stages.get(tenant, ()) else OTHER

    def stages(self, tenant: str, cascade: str) -> Set[str]:
        """The stages of a cascade, in whichever of its versions; none for one that is not configured."""
        return self._stages.get(tenant, {}).get(cascade, frozenset())


def _gone(before: Stages, now: Stages) -> Iterator[dict[str, str]]:
    for tenant, cascades in before.items():
        if tenant not in now:
            yield {"tenant": tenant}
            continue
        for cascade, stages in cascades.items():
            if cascade not in now[tenant]:
                yield {"tenant": tenant, "cascade": cascade}
                continue
            for stage in stages - now[tenant][cascade]:
                yield {"tenant": tenant, "cascade": cascade, "stage": stage}
