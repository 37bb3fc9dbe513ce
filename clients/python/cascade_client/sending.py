"""An upsert stream on the wire: messages are put in by the caller and sent by a thread of gRPC.

Both clients send their upserts this way, because asyncio's gRPC loses the status of a call that the server ends
while a message is being written.
"""

from __future__ import annotations

import asyncio
import queue
from typing import Any

import grpc

from cascade_api.v1 import index_pb2
from cascade_client.calls import Call

_HELD = 4  # messages that wait to be sent
_POLL = 0.01  # seconds between looks at a call that may have ended meanwhile


class Sending:
    """One try of an upsert; must be closed, which cancels it unless it has ended."""

    def __init__(
        self, channel: grpc.Channel, call: Call[Any], timeout: float | None, metadata: tuple[tuple[str, str], ...]
    ) -> None:
        self._outbox: queue.Queue[index_pb2.UpsertDocumentsRequest | None] = queue.Queue(_HELD)
        start: grpc.StreamUnaryMultiCallable[index_pb2.UpsertDocumentsRequest, Any] = channel.stream_unary(
            call.method, index_pb2.UpsertDocumentsRequest.SerializeToString, call.parse
        )
        self._call = start.future(iter(self._outbox.get, None), timeout=timeout, metadata=metadata)

    def put(self, message: index_pb2.UpsertDocumentsRequest | None) -> bool:
        """Send a message, or None as the end, once there is room; False when the call has ended and takes no more."""
        while not self._call.done():
            try:
                self._outbox.put(message, timeout=_POLL)
                return True
            except queue.Full:
                continue
        return False

    def result(self) -> Any:
        """The answer. Raises grpc.RpcError."""
        return self._call.result()

    async def put_async(self, message: index_pb2.UpsertDocumentsRequest | None) -> bool:
        """As `put`, without blocking the event loop."""
        while not self._call.done():
            try:
                self._outbox.put_nowait(message)
                return True
            except queue.Full:
                await asyncio.sleep(_POLL)
        return False

    async def result_async(self) -> Any:
        """As `result`, without blocking the event loop."""
        return await asyncio.to_thread(self._call.result)

    def close(self) -> None:
        """Cancel the call unless it has ended, and let go of gRPC's thread, which may be waiting for a message."""
        self._call.cancel()
        if self._outbox.empty():
            self._outbox.put(None)
