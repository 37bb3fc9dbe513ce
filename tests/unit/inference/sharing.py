"""Callers whose rows are run in shared batches as a model's worker runs them, without threads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cascade.budget import Account
from cascade.inference.fair_queue import FairQueue
from cascade.inference.filling import Filling
from cascade.inference.line import Entry
from cascade.inference.rows import Lane, Rows
from cascade.inference.shared_batch import run

Row = tuple[int, int]
"""Whose it is, and which."""


def padded(lengths: Sequence[int]) -> int:
    return max(lengths) * len(lengths) if lengths else 0


@dataclass
class Asker:
    """A caller who asks for rows, and then once more for as many."""

    asked: list[Rows[Row, Row]]
    begun: bool = False
    wanted: bool = True

    @property
    def rows(self) -> Rows[Row, Row] | None:
        return next((one for one in self.asked if one.left), None) if self.begun else None

    @property
    def may_begin(self) -> bool:
        return not self.begun


@dataclass
class Ran:
    """A batch: who led it, and of everyone in it the lengths of the rows."""

    leader: Entry[Asker]
    lengths: dict[Entry[Asker], list[int]]

    @property
    def flat(self) -> list[int]:
        return [length for one in self.lengths.values() for length in one]


@dataclass
class Server:
    """Serves batch after batch and keeps the books."""

    queue: FairQueue[Asker]
    most: int
    batches: list[Ran] = field(default_factory=list)
    order: list[Row] = field(default_factory=list)
    done: list[Entry[Asker]] = field(default_factory=list)
    on_run: Callable[[Sequence[Row]], None] = lambda rows: None

    def __post_init__(self) -> None:
        self.lanes = [Lane(self._echo, self.most, size) for size in (sum, padded, sum)]

    def _echo(self, rows: Sequence[Row]) -> Sequence[Row]:
        self.on_run(rows)
        self.order.extend(rows)
        return rows

    def ask(
        self, item: int, account: Account, lane: int, lengths: Sequence[int], *, times: int = 1, said: int | None = None
    ) -> Entry[Asker]:
        """Let someone wait for rows of these lengths, and for the same again when they have them."""
        count = len(lengths)
        asked = [
            Rows(self.lanes[lane], [(item, n) for n in range(k * count, (k + 1) * count)], lengths)
            for k in range(times)
        ]
        tokens = times * sum(lengths) if said is None else said
        entry = Entry(account, max(1, tokens), float("inf"), Asker(asked))
        assert self.queue.push(entry) == []
        return entry

    def batch(self) -> Ran | None:
        """Run the next batch, none when nobody waits."""
        leader, _ = self.queue.take()
        if leader is None:
            return None
        leader.item.begun = True
        if leader.item.rows is None:
            self._let_go(leader, 0)
            return self.batch()
        filling = Filling(self.queue, leader, leader.item.rows)
        while (entry := filling.invite()) is not None:
            entry.item.begun = True
            if not filling.seat(entry):
                self._let_go(entry, 0)
        run(filling.shares.values())
        for entry, share in filling.shares.items():
            self._let_go(entry, share.tokens)
        found = {e: [share.owner.lengths[n] for n in share.places] for e, share in filling.shares.items()}
        self.batches.append(Ran(leader, found))
        return self.batches[-1]

    def _let_go(self, entry: Entry[Asker], tokens: int) -> None:
        self.queue.charge(entry, tokens)
        if entry.item.rows is None:
            self.queue.end(entry)
            self.done.append(entry)
        else:
            self.queue.put_back(entry)
