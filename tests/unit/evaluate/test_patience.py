"""A question that a server refuses for its load is asked again; what it may never ask is not."""

from __future__ import annotations

import pytest

from cascade.evaluate.patience import patiently
from cascade_client import OverloadedError
from cascade_client.errors import Details


def refusal(retry_after: float | None) -> OverloadedError:
    return OverloadedError("busy", Details(retry_after=retry_after))


class Server:
    """Refuses as often as it is told to, then answers; `given` is the time that each question was given."""

    def __init__(self, *refusals: OverloadedError) -> None:
        self._refusals = list(refusals)
        self.given: list[float] = []

    async def ask(self, left: float) -> str:
        self.given.append(left)
        if self._refusals:
            raise self._refusals.pop(0)
        return "an answer"


async def test_a_refused_question_is_asked_again_in_what_is_left_of_its_time() -> None:
    server = Server(refusal(0.0), refusal(0.01))
    assert await patiently(server.ask, 60.0) == "an answer"
    first, second, third = server.given
    assert 60 >= first > second > third > 0


@pytest.mark.parametrize("retry_after", [None, 100.0])
async def test_a_refusal_that_time_does_not_mend_is_the_outcome(retry_after: float | None) -> None:
    server = Server(refusal(retry_after))
    with pytest.raises(OverloadedError):
        await patiently(server.ask, 60.0)
    assert len(server.given) == 1
