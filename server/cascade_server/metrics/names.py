"""The names that may be labels: those of configured tenants, cascades and stages, and `other` for all the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from cascade_server.interceptors.record import OTHER


class Names:
    """Whatever callers make up, there are no more labels than tenants, cascades and stages, and one."""

    def __init__(self) -> None:
        self._stages: dict[str, Mapping[str, Set[str]]] = {}

    @property
    def tenants(self) -> Set[str]:
        """Every tenant that may be named."""
        return self._stages.keys()

    def replace(self, tenant: str, cascades: Mapping[str, Set[str]] | None) -> list[dict[str, str]]:
        """These are the stages by cascade of `tenant` from now on, None for one that is gone.

        Returns the labels of names that are gone.
        """
        before = self._stages.pop(tenant, {})
        if cascades is None:
            return [{"tenant": tenant}]
        self._stages[tenant] = cascades
        return list(_gone(tenant, before, cascades))

    def tenant(self, name: str) -> str:
        """The label for a tenant."""
        return name if name in self._stages else OTHER

    def cascade(self, tenant: str, name: str) -> str:
        """The label for a cascade of `tenant`."""
        return name if name in self._stages.get(tenant, ()) else OTHER

    def stages(self, tenant: str, cascade: str) -> Set[str]:
        """The stages of a cascade, in whichever of its versions; none for one that is not configured."""
        return self._stages.get(tenant, {}).get(cascade, frozenset())


def _gone(tenant: str, before: Mapping[str, Set[str]], now: Mapping[str, Set[str]]) -> Iterator[dict[str, str]]:
    for cascade, stages in before.items():
        if cascade not in now:
            yield {"tenant": tenant, "cascade": cascade}
            continue
        for stage in stages - now[cascade]:
            yield {"tenant": tenant, "cascade": cascade, "stage": stage}
