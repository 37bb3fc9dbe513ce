"""A gRPC server that does nothing: what it costs to be asked and to answer, whoever it is that answers."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

_PATIENCE = 60.0


class BareServerError(Exception):
    """It did not start."""


@contextmanager
def bare(results: int, processors: Sequence[int]) -> Iterator[str]:
    """Where a process on `processors` listens, which reads no request and answers each with the same `results`."""
    context = multiprocessing.get_context("spawn")  # gRPC does not support forks of a process that has used it
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, results, tuple(processors)), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_PATIENCE):
            raise BareServerError(f"the process of the bare server said nothing for {_PATIENCE:.0f} s")
        yield ours.recv()
    finally:
        process.kill()
        process.join()
        ours.close()


def _run(told: Connection, results: int, processors: Sequence[int]) -> None:
    if processors:
        os.sched_setaffinity(0, processors)
    asyncio.run(_serve(told, results))


async def _serve(told: Connection, results: int) -> None:
    import grpc

    from cascade_api.v1 import ranking_pb2

    response = ranking_pb2.RankResponse()
    for place in range(results):
        response.results.add(doc_id=str(place), position=place, rank=place + 1, score=-place, scored_by="nobody")
    answer = response.SerializeToString()

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            async def respond(request: bytes, context: Any) -> bytes:
                return answer

            return grpc.unary_unary_rpc_method_handler(respond)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    told.send(f"127.0.0.1:{port}")
    await server.wait_for_termination()
