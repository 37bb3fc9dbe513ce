"""The server as a program: signals, and an exit status that says how it went."""

from __future__ import annotations

import asyncio
import gc
import signal

import structlog

from cascade.errors import ConfigError
from cascade_server.app import Server
from cascade_server.settings import Settings

log = structlog.get_logger()

EXIT_CONFIG = 2

# With Python's 10 the server stood still for a tenth of a second every 20 seconds of load.
_YOUNG_PER_FULL_COLLECTION = 1000


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then drain; SIGHUP reads the cascade files again. Returns the exit status.

    A second SIGTERM or SIGINT ends the process at once, which loses nothing that was acknowledged.
    """
    try:
        server = Server(settings)
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
