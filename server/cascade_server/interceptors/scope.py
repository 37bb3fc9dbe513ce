"""One request from its arrival to its end: its error becomes a status, and it leaves a log line and metrics."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2

from cascade.errors import CascadeError
from cascade_server.access.check import AccessCheck
from cascade_server.interceptors.record import begin
from cascade_server.interceptors.refusals import refusal
from cascade_server.metrics import Metrics
from cascade_server.status import code_of, internal_status, shorten, status_of
from cascade_server.tenants import Tenants

_RANKING = "/cascade_api.v1.RankingService/"
_INDEX = "/cascade_api.v1.IndexService/"
_SERVER_FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS)

Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger()


class RequestScope:
    """The handler runs inside; whatever it raises is answered here, once, and swallowed nowhere."""

    def __init__(self, method: str, context: Context, access: AccessCheck, tenants: Tenants, metrics: Metrics) -> None:
        self._context = context
        self._access = access
        self._tenants = tenants
        self._metrics = metrics
        self._arrived = time.monotonic()
        self._record = begin(method)

    async def admit(self) -> None:
        """Find out who calls, and whether that caller may; nothing of the request is looked at before.

        Raises UnauthenticatedError, PermissionDeniedError, InvalidInputError.
        """
        await self._access.admit(self._record, self._context)
        name = self._record.acting_tenant
        self._record.fields["tenant"] = shorten(name, 63)
        if name in self._tenants:
            self._record.tenant = name

    @property
    def tenant(self) -> str:
        """Whom the request acts for, once it is admitted."""
        return self._record.acting_tenant

    async def __aenter__(self) -> RequestScope:
        """Nothing is acquired: the record began with the scope."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the call with the status of `error`, which gRPC does by raising."""
        if error is None:
            # gRPC sends the answer in this step of the loop; nobody need wait for what is written down of it.
            asyncio.get_running_loop().call_soon(self._account, grpc.StatusCode.OK, None, time.monotonic())
        elif isinstance(error, CascadeError):
            self._account(code_of(error), error)
            await self._abort(code_of(error), status_of(error))
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):  # the latter from a stream nobody reads
            late = self._context.time_remaining() == 0
            self._account(grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED)
        elif isinstance(error, Exception):
            # A mistake of ours: its text may hold anything, so it goes to the log and not to the caller.
            self._account(grpc.StatusCode.INTERNAL, error)
            await self._abort(grpc.StatusCode.INTERNAL, internal_status())

    async def _abort(self, code: grpc.StatusCode, status: status_pb2.Status) -> None:
        details = (("grpc-status-details-bin", status.SerializeToString()),)
        await self._context.abort(code, status.message, details)

    def _account(self, code: grpc.StatusCode, error: Exception | None = None, ended: float | None = None) -> None:
        record, seconds = self._record, (time.monotonic() if ended is None else ended) - self._arrived
        method = record.method.rsplit("/", 1)[-1]
        if record.method.startswith(_RANKING):
            self._metrics.ranked(record.tenant, record.cascade, code.name, seconds)
        elif record.method.startswith(_INDEX):
            self._metrics.index_request(record.tenant, method, code.name, seconds)
        if reason := refusal(error):
            self._metrics.refused(record.tenant, reason)
        fields = {"method": method, **record.fields, "code": code.name, "seconds": round(seconds, 6)}
        if error is not None:
            fields["error"] = shorten(str(error), 500)
        if code in _SERVER_FAULTS:
            log.error("request", **fields, exc_info=error)
        else:
            log.info("request", **fields)
