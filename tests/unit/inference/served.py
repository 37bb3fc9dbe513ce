"""A queue that is served as a model's worker does it, without threads; and what to put into it."""

import math
from dataclasses import dataclass, field

from hypothesis import strategies as st

from cascade.budget import Account, Priority
from cascade.inference.fair_queue import FairQueue
from cascade.inference.line import Drop, Entry
from cascade.testing import FakeClock

LIGHT, HEAVY, OTHER = Account("light"), Account("heavy", weight=3.0), Account("other")
URGENT, SHADOW = Account("urgent", priority=Priority.HIGH), Account("light", priority=Priority.SHADOW)
ACCOUNTS = (LIGHT, HEAVY, OTHER, URGENT, SHADOW)


@dataclass
class Model:
    """Serves a queue as the worker does, one step at a time, and keeps the books."""

    queue: FairQueue[int]
    clock: FakeClock
    served: list[tuple[Entry[int], int]] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    drops: list[Drop[int]] = field(default_factory=list)

    def push(self, entry: Entry[int]) -> None:
        self.drops += self.queue.push(entry)

    def step(self, *, most: int = 10, seconds: float = 0.0) -> Entry[int] | None:
        entry, drops = self.queue.take()
        self.drops += drops
        if entry is None:
            return None
        tokens = min(most, entry.tokens)
        self.clock.advance(seconds)
        self.served.append((entry, tokens))
        self.queue.charge(entry, tokens)
        if entry.tokens:
            self.queue.put_back(entry)
        else:
            self.queue.end(entry)
            self.done.append(entry.item)
        return entry

    def work_off(self) -> None:
        while self.step():
            pass


def model(*, fair: bool = True, max_entries: int = 256, max_tokens: int = 10_000) -> Model:
    clock = FakeClock()
    return Model(FairQueue(fair=fair, max_entries=max_entries, max_tokens=max_tokens, clock=clock), clock)


def work(account: Account = LIGHT, tokens: int = 10, *, until: float = math.inf, item: int = 0) -> Entry[int]:
    return Entry(account, tokens, until, item)


@dataclass(frozen=True)
class Push:
    account: Account
    tokens: int
    patience: float


@dataclass(frozen=True)
class Step:
    seconds: float


@dataclass(frozen=True)
class Leave:
    item: int


accounts = st.sampled_from(ACCOUNTS)
pushes = st.builds(Push, accounts, st.integers(1, 60), st.sampled_from([math.inf, 0.5, 2.0, 5.0]))
steps = st.builds(Step, st.sampled_from([0.0, 0.1, 0.7]))
events = st.lists(st.one_of(pushes, steps, st.builds(Leave, st.integers(0, 50))), max_size=80)
