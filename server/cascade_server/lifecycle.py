"""The server as a program: signals, and an exit status that says how it went."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable

import structlog

from cascade.errors import ConfigError
from cascade_server.app import Server
from cascade_server.settings import Settings
from cascade_server.workers.supervisor import EXIT_CONFIG, Supervisor

__all__ = ["EXIT_CONFIG", "serve", "serve_alone"]

log = structlog.get_logger()

# With Python's 10 the server stood still for a tenth of a second every 20 seconds of load. Nor are they to be rarer
# still: gRPC leaves a cycle behind for each call, and one in ten of them waits for a full collection.
_YOUNG_PER_FULL_COLLECTION = 100


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then drain; SIGHUP reads the cascade files again. Returns the exit status.

    A second SIGTERM or SIGINT ends the process at once, which loses nothing that was acknowledged. With several
    workers this process only looks after those that serve.
    """
    if settings.workers == 1:
        return await serve_alone(settings)
    try:
        return await Supervisor(settings).run()
    except ConfigError as error:
        log.error("cannot_start", source=error.source, problems=error.problems)
        return EXIT_CONFIG


async def serve_alone(
    settings: Settings,
    *,
    shares_port: bool = False,
    ready: Callable[[Server], None] = lambda _server: None,
    until: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """As `serve`, in this process. `ready` hears when requests are answered; it stops also when `until` returns."""
    try:
        server = Server(settings, shares_port=shares_port)
    except ConfigError as error:
        log.error("cannot_start", source=error.source, problems=error.problems)
        return EXIT_CONFIG
    loop = asyncio.get_running_loop()
    told_to_stop = asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        told_to_stop.set()

    def reload() -> None:
        task = asyncio.create_task(server.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)

    stopping = asyncio.create_task(told_to_stop.wait())
    if until is not None:
        watching = asyncio.ensure_future(until())
        watching.add_done_callback(lambda _: told_to_stop.set())
    starting = asyncio.create_task(server.start())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            # Libraries and models are here to stay. A full collection goes through their half a million objects, and
            # holds up every answer for a quarter of a second with one cross-encoder loaded; left out, for microseconds.
            gc.collect()
            gc.freeze()
            # Those that come with later versions cannot be frozen, for they may go again: go through them seldom.
            gc.set_threshold(*gc.get_threshold()[:2], _YOUNG_PER_FULL_COLLECTION)
            ready(server)
            await stopping
    except ConfigError as error:
        log.error("cannot_start", source=error.source, problems=error.problems)
        return EXIT_CONFIG
    finally:
        starting.cancel()
        stopping.cancel()
        await asyncio.wait({starting, stopping})
        await server.stop(settings.grace_seconds)
    return 0
