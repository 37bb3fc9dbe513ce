"""What was admitted and has still to be read, beside what already waits in the models' queues."""

from __future__ import annotations

from dataclasses import replace

from cascade.budget import Account, Priority
from cascade.inference.load import Backlog, QueueLoad
from cascade.models import ModelKey

_Place = tuple[Priority, str]


class Ledger:
    """Tokens of admitted requests, by model and account, from their admission until their stage has ended.

    A request comes to a model's queue some stages after it was let in: without this, all that come at once would find
    the queue empty.
    """

    def __init__(self) -> None:
        self._accounts: dict[ModelKey, dict[_Place, Backlog]] = {}

    def add(self, model: ModelKey, account: Account, tokens: int) -> None:
        """`tokens` will come to `model`; negative ones have been there."""
        accounts = self._accounts.setdefault(model, {})
        place = (account.priority, account.name)
        total = tokens + (accounts[place].tokens if place in accounts else 0)
        if total > 0:
            accounts[place] = Backlog(account, total)
        else:
            accounts.pop(place, None)

    def over(self, model: ModelKey, load: QueueLoad) -> QueueLoad:
        """`load`, with what has yet to come; of each account the larger figure counts, since they overlap."""
        accounts = self._accounts.get(model)
        if not accounts:
            return load
        merged = dict(accounts)
        for waiting in load.backlogs:
            place = (waiting.account.priority, waiting.account.name)
            tokens = max(waiting.tokens, merged[place].tokens if place in merged else 0)
            merged[place] = replace(waiting, tokens=tokens)
        total = max(load.waiting_tokens, sum(b.tokens for b in accounts.values()))
        return replace(load, waiting_tokens=total, backlogs=tuple(merged.values()))
