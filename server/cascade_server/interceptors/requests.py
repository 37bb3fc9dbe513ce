"""Puts every request to Cascade's services into its scope, and knows when none is in progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

import grpc
import structlog

from cascade_server.access.check import AccessCheck
from cascade_server.access.roles import is_open
from cascade_server.errors import UnavailableError
from cascade_server.interceptors.malformed import Malformed, input_type, tolerant
from cascade_server.interceptors.parts import LARGE, check_parts
from cascade_server.interceptors.record import current
from cascade_server.interceptors.scope import Context, RequestScope
from cascade_server.interceptors.stalls import Unread, patience
from cascade_server.metrics import Metrics
from cascade_server.settings import Settings
from cascade_server.tenants import Tenants

_OURS = "/cascade_api."

# Its types know the synchronous server only.
Handler = Any
Read = Callable[[bytes], Any]
Write = Callable[[Any], bytes]

log = structlog.get_logger()


class RequestInterceptor(grpc.aio.ServerInterceptor):
    """Stands around every request; only the open services, such as health, pass untouched.

    gRPC hands over the bytes of messages, and they are read once the caller has passed the access check: nobody else
    has this server parse anything. It is given bytes as well, so that an answer is measured and written in one.
    """

    def __init__(self, access: AccessCheck, tenants: Tenants, metrics: Metrics, settings: Settings) -> None:
        self._access = access
        self._settings = settings
        self._unread = Unread(settings.max_unread_bytes)
        self._tenants = tenants
        self._metrics = metrics
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    async def drain(self, grace: float | None) -> None:
        """Refuse new requests as UNAVAILABLE, and return when those in progress are answered, or after `grace` seconds.

        gRPC's own drain would cancel a request that comes just then, which tells its caller nothing.
        """
        self._stopping = True
        try:
            async with asyncio.timeout(grace or 0):
                await self._idle.wait()
        except TimeoutError:
            if self._running:
                log.warning("drain_cut_short", in_progress=self._running)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """gRPC asks here for the handler of each request."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or is_open(method):
            return handler
        if not method.startswith(_OURS):
            return grpc.stream_stream_rpc_method_handler(
                self._stream_stream(handler, method), handler.request_deserializer, handler.response_serializer
            )
        read = tolerant(handler.request_deserializer, method)
        write = handler.response_serializer
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(self._stream_unary(handler, method, read), None, write)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._unary_stream(handler, method, read, write), None, None)
        return grpc.unary_unary_rpc_method_handler(self._unary_unary(handler, method, read, write), None, None)

    def _unary_unary(
        self, handler: Handler, method: str, read: Read, write: Write
    ) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def answer(request: bytes, context: Context) -> bytes:
            async with self._counted(method, context) as scope:
                self._refuse_when_stopping()
                await scope.admit()
                self._unread.check(scope.tenant)
                response = write(await handler.unary_unary(await _sound(read, request, method), context))
                _until_read(context, self._unread.hold(scope.tenant, len(response)))
                return response

        return answer

    def _unary_stream(
        self, handler: Handler, method: str, read: Read, write: Write
    ) -> Callable[[bytes, Context], Awaitable[None]]:
        # A coroutine that writes: of a generator, gRPC waits for ever until the caller reads what was yielded.
        async def answer(request: bytes, context: Context) -> None:
            async with self._counted(method, context) as scope:
                self._refuse_when_stopping()
                await scope.admit()
                self._unread.check(scope.tenant)
                responses = handler.unary_stream(await _sound(read, request, method), context)
                begun = False
                async with aclosing(responses):
                    async for made in responses:
                        response = write(made)
                        if not begun:
                            # Before the first message, or gRPC cannot send the status of a call that stalls there.
                            await context.send_initial_metadata(())
                            begun = True
                        release = self._unread.hold(scope.tenant, len(response))
                        _until_read(context, release)
                        async with patience(self._settings.send_timeout_seconds, "did not read its answer"):
                            await _written(context, response)
                        release()

        return answer

    def _stream_unary(
        self, handler: Handler, method: str, read: Read
    ) -> Callable[[AsyncIterator[bytes], Context], Awaitable[Any]]:
        async def answer(requests: AsyncIterator[bytes], context: Context) -> Any:
            async with self._counted(method, context) as scope:
                self._refuse_when_stopping()
                await scope.admit()
                return await handler.stream_unary(self._all_sound(requests, read, method), context)

        return answer

    def _stream_stream(self, handler: Handler, method: str) -> Callable[[Any, Context], AsyncIterator[Any]]:
        """Reflection: checked as all others, but it may stay open for ever, so a server that stops does not wait."""

        async def answer(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
            async with self._scope(method, context) as scope:
                await scope.admit()
                async for response in handler.stream_stream(requests, context):
                    yield response

        return answer

    async def _all_sound(self, requests: AsyncIterator[bytes], read: Read, method: str) -> AsyncIterator[Any]:
        # A generator function, since an expression would begin to read what a refused call never reads.
        pause, left = self._settings.receive_timeout_seconds, self._settings.max_upsert_seconds
        until = asyncio.get_running_loop().time() + left
        while True:
            seconds = min(pause, until - asyncio.get_running_loop().time())
            async with patience(seconds, "sent nothing" if seconds == pause else "did not come to its end"):
                request = await anext(requests, None)
            if request is None:
                return
            yield await _sound(read, request, method)

    def _counted(self, method: str, context: Context) -> RequestScope:
        if not self._stopping:
            self._running += 1
            self._idle.clear()
            self._metrics.started()
            # Called once the status is on its way, later than the end of the handler; its type is not importable.
            context.add_done_callback(cast("Any", self._sent))
        return self._scope(method, context)

    def _scope(self, method: str, context: Context) -> RequestScope:
        return RequestScope(method, context, self._access, self._tenants, self._metrics)

    def _sent(self, _context: Context) -> None:
        self._metrics.ended()
        self._running -= 1
        if not self._running:
            self._idle.set()

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise UnavailableError("stopping")


async def _sound(read: Read, data: bytes, method: str) -> Any:
    if len(data) > LARGE:
        await check_parts(data, input_type(method))
    current().size = len(data)
    request = read(data)
    if isinstance(request, Malformed):
        raise request.error
    return request


async def _written(context: Context, response: bytes) -> None:
    try:
        await context.write(response)
    except grpc.aio.InternalError as error:
        # How gRPC puts it that the caller left meanwhile; that it was cancelled comes a moment later.
        raise asyncio.CancelledError from error


def _until_read(context: Context, release: Callable[[], None]) -> None:
    context.add_done_callback(cast("Any", lambda _context: release()))
