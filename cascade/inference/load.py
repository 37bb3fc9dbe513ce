"""How much work waits for a model, and how much of it would be done before a newcomer's."""

from __future__ import annotations

from dataclasses import dataclass

from cascade.budget import Account


@dataclass(frozen=True, slots=True)
class Backlog:
    """The `tokens` that wait for `account`; `lead` is how much more it was served than its share, in tokens over its
    weight: the others of its class catch up before its next turn."""

    account: Account
    tokens: int
    lead: float = 0.0


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """A model's queue at one moment, estimated by what callers said of their work.

    `waiting_tokens` includes what is left of the work in hand. `seconds_per_token` is the rate of the last batches, 0
    while nothing recent is known. `oldest_wait` is the seconds that the entry has waited which waits longest.
    """

    waiting_tokens: float = 0.0
    seconds_per_token: float = 0.0
    oldest_wait: float = 0.0
    backlogs: tuple[Backlog, ...] = ()
    fair: bool = True

    def ahead(self, account: Account, tokens: float = 0.0) -> float:
        """Tokens that would be run before a new entry of `account` with `tokens` ends, without its own.

        Those of higher priority, those of the account itself, and of its class what each other account is served in the
        meantime. Work that has yet to come is not foreseen. Of a queue in order of arrival, all that waits.
        """
        if not self.fair:
            return self.waiting_tokens
        above = sum(b.tokens for b in self.backlogs if b.account.priority < account.priority)
        same = [b for b in self.backlogs if b.account.priority == account.priority]
        own = next((b for b in same if b.account.name == account.name), Backlog(account, 0))
        turns = own.lead + (own.tokens + tokens) / account.weight
        others = sum(
            min(b.tokens, max(0.0, (turns - b.lead) * b.account.weight)) for b in same if b.account.name != account.name
        )
        return above + own.tokens + others

    def seconds(self, account: Account, tokens: float) -> float:
        """When a new entry of `account` with `tokens` would end, from now; 0 while the rate is not known."""
        return (self.ahead(account, tokens) + tokens) * self.seconds_per_token
