"""Lets a tier stop early: it scores in chunks until nothing unread is likely to rise to the top."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence

import numpy as np

from cascade.blend import parts
from cascade.config import Blend, Until
from cascade.errors import StageError
from cascade.forecast import Floats, forecast, signal
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Ranking

Score = Callable[[Sequence[Candidate]], Awaitable[Scores]]


async def score_until(name: str, until: Until, blend: Blend | None, head: Ranking, score: Score) -> Scores:
    """Scores of the first candidates of `head`, as few as `until` allows; `score` is called chunk by chunk.

    When a chunk after the first raises TimeoutError, those before it are the answer, and `Usage.incomplete` says so.
    """
    done = Scores(())
    for end in ends(len(head), until):
        chunk = head.candidates[len(done.values) : end]
        try:
            scores = await score(chunk)
        except TimeoutError:
            if not done.values:
                raise
            detail = f"ran out of its time after {len(done.values)} of {len(head)} candidates; their order is used"
            return Scores(done.values, _sum(done.usage, Usage(incomplete=detail)))
        if len(scores.values) != len(chunk):
            problem = f"it gave {len(scores.values)} scores for {len(chunk)} candidates, expected one each"
            raise StageError(name, problem)
        # Refuses what is not finite before anything is foretold from it.
        Ranking.from_scores(zip((c.doc_id for c in chunk), scores.values, strict=True), name)
        done = Scores(done.values + scores.values, _sum(done.usage, scores.usage))
        if scores.usage.incomplete or stable(until, blend, head, done.values):
            break
    return done


def ends(count: int, until: Until) -> Iterator[int]:
    """After how many of `count` candidates a tier may stop, ascending; the last is all of them."""
    yield from range(until.first, count, until.step)
    if count:
        yield count


def stable(until: Until, blend: Blend | None, head: Ranking, values: Sequence[float]) -> bool:
    """Whether, by what the first candidates' `values` foretell, the top stays as it is with the wanted confidence.

    The top is the first `stable_top` of the tier's order, blended where the tier blends. The scores of unread
    candidates are taken as independent and normal; where a tier's scores have heavier tails, the true confidence is
    lower than the one asked for: `cascade tune` finds what to ask for.
    """
    return log_chance(until, blend, head, values) >= math.log(until.confidence)


def log_chance(until: Until, blend: Blend | None, head: Ranking, values: Sequence[float]) -> float:
    """The log of the chance that no unread candidate would enter the first `stable_top`."""
    if len(values) == len(head):
        return 0.0
    if len(values) < until.stable_top:
        return -math.inf
    scores = np.array(values, dtype=np.float64)
    unread = forecast(signal(head), scores, until.prior).after(len(values))
    bars = _bars(until.stable_top, blend, head, np.concatenate([scores, unread.mean]), len(values))
    return unread.log_chance_below(bars)


def completed(until: Until | None, head: Ranking, values: Sequence[float]) -> tuple[float, ...]:
    """`values` with what they foretell for the rest of `head`, so that a blend has one scale whatever was read."""
    if len(values) == len(head) or until is None:
        return tuple(values)
    foretold = forecast(signal(head), np.array(values, dtype=np.float64), until.prior).after(len(values))
    return (*values, *foretold.mean.tolist())


def _bars(top: int, blend: Blend | None, head: Ranking, values: Floats, scored: int) -> Floats:
    """The score that each unread candidate would have to exceed to be among the first `top`, (n - scored,).

    A candidate's place in a blend is the sum of what the order received and the tier's score contribute, and the second
    rises with the score. The score that contributes just enough is read from those of the other candidates.
    """
    if blend is None:
        return np.full(len(values) - scored, np.sort(values[:scored])[-top])
    received, own = (np.array(part) for part in parts(blend, head, values.tolist()))
    enough = np.sort((received + own)[:scored])[-top] - received[scored:]
    order = np.argsort(values, kind="stable")
    rising, given = own[order], values[order]
    bars: Floats = np.interp(enough, rising, given)
    # Beyond what any candidate has: by rank there is no more to be had, by score it goes on in a line.
    slope = (given[-1] - given[0]) / (rising[-1] - rising[0]) if rising[-1] > rising[0] else math.inf
    above, below = enough > rising[-1], enough < rising[0]
    by_rank = blend.method == "rrf"
    bars[above] = math.inf if by_rank else given[-1] + (enough[above] - rising[-1]) * slope
    bars[below] = -math.inf if by_rank else given[0] + (enough[below] - rising[0]) * slope
    return bars


def _sum(a: Usage, b: Usage) -> Usage:
    return Usage(
        queue_time=a.queue_time + b.queue_time,
        tokens=a.tokens + b.tokens,
        truncations=a.truncations + b.truncations,
        repairs=a.repairs + b.repairs,
        incomplete=a.incomplete or b.incomplete,
        cached=a.cached + b.cached,
        backend=a.backend or b.backend,
    )
