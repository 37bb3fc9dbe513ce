"""Loads the models of versions in the background, so that one that takes long holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from cascade.engine import Cascade
from cascade.errors import CascadeError, ModelLoadError
from cascade.inference.model import ServedModel
from cascade.models import Models
from cascade_server.rollout.serving import Wired

log = structlog.get_logger()


class Loading:
    """Each version that is wanted is loaded once; models are loaded one at a time, as their libraries expect."""

    def __init__(self, models: Models, ended: Callable[[], None]) -> None:
        """`ended` is called when a version became usable or turned out not to."""
        self._models = models
        self._ended = ended
        self._one_model = asyncio.Lock()
        self._tasks: dict[Wired, asyncio.Task[None]] = {}

    @property
    def tasks(self) -> Iterable[asyncio.Task[None]]:
        """What is being loaded."""
        return self._tasks.values()

    def ready(self, cascade: Cascade) -> bool:
        """Whether there is nothing to load: an endpoint has yet to be asked whether it answers."""
        return all(isinstance(m, ServedModel) and m.status.ready for m in self._models.held_by(cascade))

    def want(self, versions: Iterable[Wired]) -> None:
        """Load these in the background, and no others any more."""
        wanted = set(versions)
        for wired in self._tasks.keys() - wanted:
            self._tasks.pop(wired).cancel()
        for wired in wanted - self._tasks.keys():
            self._tasks[wired] = asyncio.create_task(self._load(wired))

    async def load(self, wired: Wired) -> None:
        """Make a version usable, or find its problem.

        An endpoint that cannot be reached just now is none: the version was tried when it was activated, and without
        its endpoint it answers and says so.
        """
        try:
            await self._warm_up(wired.cascade)
        except ModelLoadError as error:
            wired.problem = error
            return
        except (CascadeError, TimeoutError) as error:
            log.warning("not_tested", cascade=wired.cascade.name, version=wired.number, problem=_reason(error))
        wired.usable = True

    async def try_load(self, cascade: Cascade) -> None:
        """Load all models of a cascade, and reach all its endpoints. Raises ModelLoadError."""
        try:
            await self._warm_up(cascade)
        except ModelLoadError:
            raise
        except (CascadeError, TimeoutError) as error:
            raise ModelLoadError(cascade.name, _reason(error)) from error

    async def aclose(self) -> None:
        """Load nothing more."""
        tasks = list(self._tasks.values())
        self.want(())
        if tasks:
            await asyncio.wait(tasks)

    async def _warm_up(self, cascade: Cascade) -> None:
        try:
            held = [m for m in self._models.held_by(cascade) if isinstance(m, ServedModel)]
            if not all(model.status.ready for model in held):
                async with self._one_model:
                    for model in held:
                        await model.warm_up()
            # Endpoints are waited for here: one that does not answer holds up nobody else's models.
            await cascade.warm_up()
        except (CascadeError, TimeoutError):
            raise
        except Exception as error:
            # A self-test may raise anything, as for want of memory; a task that ended so would be waited for for ever.
            raise ModelLoadError(cascade.name, f"{type(error).__name__}: {error}") from error

    async def _load(self, wired: Wired) -> None:
        await self.load(wired)
        del self._tasks[wired]
        self._ended()


def _reason(error: Exception) -> str:
    return str(error) or "it did not answer in time"
