"""Reads what a server sent, once there is time for it."""

from __future__ import annotations

from typing import NamedTuple

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cascade.load.reply import Outcome, Reply
from cascade.load.schedule import Flow
from cascade_api.v1 import ranking_pb2

_OUTCOMES = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: Outcome.REFUSED,
    grpc.StatusCode.DEADLINE_EXCEEDED: Outcome.EXPIRED,
}

_BUSY = "overloaded"


class Ended(NamedTuple):
    """A request and what came back as it came: a message, an error, or None for what was not sent."""

    flow: Flow
    intended: float
    sent: float
    done: float
    result: bytes | grpc.aio.AioRpcError | None


def reply_of(ended: Ended) -> Reply:
    """What became of it."""
    flow = ended.flow
    about = (flow.name, flow.target, ended.intended, ended.sent, ended.done)
    if ended.result is None:
        return Reply(*about, Outcome.UNSENT)
    if isinstance(ended.result, bytes):
        response = ranking_pb2.RankResponse.FromString(ended.result)
        made = response.provenance
        reasons = [stage.reason for stage in response.trace if stage.reason]
        return Reply(
            *about,
            _outcome(reasons, cheaper=flow.cheaper),
            reason=", ".join(f"{stage.stage} {stage.reason}" for stage in response.trace if stage.reason),
            cascade=made.cascade,
            version=made.cascade_version,
            config_hash=made.config_hash,
            tokens=sum(stage.tokens for stage in response.trace),
            queued=sum(stage.queue_time.ToNanoseconds() for stage in response.trace) / 1e9,
        )
    return Reply(*about, _OUTCOMES.get(ended.result.code(), Outcome.FAILED), reason=_why(ended.result))


def _outcome(reasons: list[str], *, cheaper: bool) -> Outcome:
    """Of an answer whose stages did less than they should, if at all, for these reasons."""
    if not reasons:
        return Outcome.ANSWERED
    return Outcome.CHEAPER if cheaper and set(reasons) == {_BUSY} else Outcome.DEGRADED


def _why(error: grpc.aio.AioRpcError) -> str:
    """The reason that the server names, with the quota that is exceeded; without one, the code and the message."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # reads code, details and trailers, which it has
    for detail in status.details if status is not None else ():
        found = _error_info(detail)
        if found is not None:
            of = found.metadata.get("quota") or found.metadata.get("what") or ""
            return f"{found.reason} {of}".strip()
    code = error.code().name
    return code if code == "DEADLINE_EXCEEDED" else f"{code}: {error.details()}"


def _error_info(detail: any_pb2.Any) -> error_details_pb2.ErrorInfo | None:
    info = error_details_pb2.ErrorInfo()
    return info if detail.Unpack(info) else None
