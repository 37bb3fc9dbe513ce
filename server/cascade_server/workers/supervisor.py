"""Starts the processes that share a port, restarts what ends, and passes signals on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping

import structlog

from cascade.errors import ConfigError
from cascade_server.settings import Settings
from cascade_server.threads import cores, limit
from cascade_server.workers.link import Orders, Ready
from cascade_server.workers.port import shared_port

_LAST_PORT = 65535
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_LASTED = 60.0
"""Seconds after which an end has nothing to do with the start."""
_MARGIN = 5.0
"""Seconds that a worker gets to release what it holds, beyond those of its requests."""

EXIT_CONFIG = 2

log = structlog.get_logger()


class Supervisor:
    """There are `settings.workers` processes until a signal says stop, but while one that ended is restarted.

    It loads no models and answers nobody. Workers lead sessions of their own, so that a terminal's Ctrl-C reaches them
    through it alone, and end when it is gone.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError when there are not so many ports for metrics."""
        last = (settings.metrics_port or 0) + settings.workers - 1
        if last > _LAST_PORT:
            raise ConfigError("metrics_port", [f"the last of {settings.workers} workers would have port {last}"])
        self._settings = settings
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._to_reload: set[int] = set()
        self._status = 0
        self._all_ready = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT, then have all drain; SIGHUP has all read their cascade files again.

        A second SIGTERM or SIGINT ends all at once. Returns the exit status. Raises ConfigError for an address that
        cannot be had.
        """
        self._listen_to_signals()
        count = self._settings.workers
        with shared_port(self._settings.host, self._settings.port) as port:
            log.info("workers_starting", workers=count, port=port, threads=self._threads)
            if self._settings.redis_url is None:
                log.warning(
                    "quotas_per_worker",
                    workers=count,
                    problem="each worker counts the tokens of its own requests, so that a tenant may get its rate "
                    "once for each; set redis_url to have them count together",
                )
            async with asyncio.TaskGroup() as group:
                keeping = [group.create_task(self._keep(number, port)) for number in range(count)]
                group.create_task(self._say_ready(keeping))
        log.info("workers_stopped")
        return self._status

    @property
    def _threads(self) -> int:
        """Of each worker: all of them together compute with as many threads as there are cores."""
        return self._settings.threads or max(1, cores() // self._settings.workers)

    async def _keep(self, number: int, port: int) -> None:
        """Have worker `number` run until all are to stop."""
        wait = _FIRST_WAIT
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                status = await self._run(number, port)
            except OSError as error:  # too little memory, too many processes: those that serve go on
                log.error("worker_not_made", worker=number, reason=str(error), again_in=wait)
                await self._pause(wait)
                wait = min(_LONGEST_WAIT, 2 * wait)
                continue
            was_ready = number in self._ready
            self._ready.discard(number)
            if self._stopping.is_set():
                if status not in (0, -signal.SIGTERM):
                    log.error("worker_ended", worker=number, status=status)
                break
            if status == EXIT_CONFIG and not was_ready and not self._all_ready.is_set():
                self._status = EXIT_CONFIG  # what it says is wrong does not mend itself
                self._stop()
                break
            wait = _FIRST_WAIT if time.monotonic() - started > _LASTED else wait
            log.error("worker_ended", worker=number, status=status, restart_in=wait)
            await self._pause(wait)
            wait = min(_LONGEST_WAIT, 2 * wait)

    async def _run(self, number: int, port: int) -> int:
        """One life of worker `number`: its exit status, negative for the signal that ended it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cascade_server.workers.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(),
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._processes[number] = process
        try:
            if self._stopping.is_set():  # it was started just as the others were told
                process.terminate()
            process.stdin.write(Orders(number, self._own(number, port)).to_line())
            if line := await process.stdout.readline():
                self._ready.add(number)
                if number in self._to_reload:
                    self._to_reload.remove(number)
                    process.send_signal(signal.SIGHUP)
                log.info(
                    "worker_ready", worker=number, pid=process.pid, metrics_port=Ready.from_line(line).metrics_port
                )
                if len(self._ready) == self._settings.workers:
                    self._all_ready.set()
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            del self._processes[number]

    def _own(self, number: int, port: int) -> Settings:
        metrics = self._settings.metrics_port
        changes = {
            "port": port,
            "workers": 1,
            "metrics_port": metrics + number if metrics else metrics,
        }
        return self._settings.model_copy(update=changes)

    def _environment(self) -> Mapping[str, str]:
        found = {name: value for name, value in os.environ.items() if not name.startswith("CASCADE_")}
        limit(found, self._threads)
        return found

    async def _say_ready(self, keeping: list[asyncio.Task[None]]) -> None:
        ready = asyncio.create_task(self._all_ready.wait())
        await asyncio.wait({ready, *keeping}, return_when=asyncio.FIRST_COMPLETED)
        if self._all_ready.is_set():
            log.info("workers_ready", workers=self._settings.workers)
        ready.cancel()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        for number, process in self._processes.items():
            if process.returncode is not None:
                continue  # the next one reads them when it starts
            if number in self._ready:
                process.send_signal(signal.SIGHUP)
            else:  # the signal would end it
                self._to_reload.add(number)

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._tell(signal.SIGKILL)
            return
        self._stopping.set()
        self._tell(signal.SIGTERM)
        patience = self._settings.grace_seconds + _MARGIN
        asyncio.get_running_loop().call_later(patience, self._tell, signal.SIGKILL)

    def _tell(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.send_signal(number)
