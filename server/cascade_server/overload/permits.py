"""How many requests are in progress, of all tenants and of each: one too many is refused at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cascade.budget import Account, Clock
from cascade.errors import OverloadedError
from cascade_server.errors import QuotaExceededError, UnavailableError

SHORTEST_RETRY = 0.05
_SMOOTHING = 0.1
_SEEN_SECONDS = 10.0
_NEWCOMERS = 1 / 16


@dataclass(slots=True)
class _Holder:
    weight: float
    taken: int = 0
    seen: float = 0.0


@dataclass(frozen=True, slots=True)
class Permit:
    """Proof of admission, which ranking asks for as an argument, so that nothing runs that was not admitted."""

    number: int
    account: Account


class Permits:
    """At most `limit` permits are out at a time, and none before `open()`; nobody waits for one.

    Half of them go to whoever asks. Of the others a tenant takes one only while it holds less than its share by weight
    among the tenants seen in the last ten seconds, so that one that floods gives way as its requests end. Where there
    are `others` beside the one that asks, a sixteenth is left to those who come anew.
    """

    def __init__(
        self, limit: int, *, others: Callable[[], bool] = lambda: False, clock: Clock = time.monotonic
    ) -> None:
        self._limit = limit
        self._others = others
        self._clock = clock
        self._taken = 0
        self._issued = 0
        self._holders: OrderedDict[str, _Holder] = OrderedDict()  # the one seen last stands last
        self._weights = 0.0
        self._typical_seconds = SHORTEST_RETRY
        self._open = False

    def open(self) -> None:
        """Give permits from now on."""
        self._open = True

    @property
    def scarce(self) -> bool:
        """Whether half of them or more are out, or none is given yet."""
        return not self._open or 2 * self._taken >= self._limit

    @contextmanager
    def take(self, account: Account, most: int | None = None) -> Iterator[Permit]:
        """A permit for the length of the block, one of at most `most` that the tenant holds.

        Raises UnavailableError, OverloadedError or QuotaExceededError, without waiting.
        """
        if not self._open:
            raise UnavailableError("starting")
        holder = self._seen(account)
        if most is not None and holder.taken >= most:
            wait = max(SHORTEST_RETRY, self._typical_seconds / most)
            raise QuotaExceededError(account.name, "max_concurrent_requests", holder.taken + 1, most, wait)
        if self._taken >= self._limit or (self.scarce and holder.taken >= self._share(holder)):
            raise OverloadedError("the server", max(SHORTEST_RETRY, self._typical_seconds / self._limit))
        self._taken += 1
        self._issued += 1
        holder.taken += 1
        started = self._clock()
        try:
            yield Permit(self._issued, account)
        finally:
            self._taken -= 1
            holder.taken -= 1
            self._typical_seconds += _SMOOTHING * (self._clock() - started - self._typical_seconds)

    def _seen(self, account: Account) -> _Holder:
        now = self._clock()
        holder = self._holders.setdefault(account.name, _Holder(0.0))
        self._weights += account.weight - holder.weight
        holder.weight, holder.seen = account.weight, now
        self._holders.move_to_end(account.name)
        while (first := next(iter(self._holders.values()))).seen < now - _SEEN_SECONDS:
            name, _ = self._holders.popitem(last=False)
            if first.taken:  # in progress all that time
                first.seen = now
                self._holders[name] = first
            else:
                self._weights -= first.weight
        return holder

    def _share(self, holder: _Holder) -> float:
        """Permits that it may hold while they are scarce, at least one."""
        free = self._limit * (1 - _NEWCOMERS) if self._others() else self._limit
        return max(1.0, free * holder.weight / self._weights)
