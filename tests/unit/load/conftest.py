"""Makes replies and phases without a server."""

from collections.abc import Callable, Sequence

import pytest

from cascade.load.phase import Phase
from cascade.load.reply import Outcome, Reply

MakeReply = Callable[..., Reply]
MakePhase = Callable[..., Phase]


@pytest.fixture
def reply() -> MakeReply:
    """A reply to a request of `at`, by default answered after 10 ms and sent in time."""

    def make(
        at: float = 0.0,
        latency: float = 0.01,
        outcome: Outcome = Outcome.ANSWERED,
        *,
        flow: str = "a",
        delay: float = 0.0,
        **more: object,
    ) -> Reply:
        return Reply(flow, "server", at, at + delay, at + latency, outcome, **more)  # type: ignore[arg-type]  # as given

    return make


@pytest.fixture
def phase() -> MakePhase:
    """A phase of ten seconds with a deadline of one."""

    def make(replies: Sequence[Reply] = (), **more: object) -> Phase:
        given: dict[str, object] = {"label": "load", "started": 0.0, "seconds": 10.0, "deadline": 1.0, **more}
        return Phase(replies=replies, **given)  # type: ignore[arg-type]  # as given

    return make
