"""What every served model has in common: loaded once, called through its own queue, and honest about its health."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import structlog

from cascade.budget import Budget
from cascade.errors import CascadeError, ModelLoadError
from cascade.inference.batcher import ModelQueue, QueueObserver, QueueOptions
from cascade.inference.caches import Caches, ModelCache
from cascade.inference.cost import CostEstimate
from cascade.inference.device import pick_device
from cascade.inference.tokenised import Tokeniser
from cascade.inference.towers.tower import Backend, Tower

if TYPE_CHECKING:
    from torch import nn

    from cascade.inference.towers.backbone import Backbone
    from cascade.inference.towers.natural_texts import Reader

log = structlog.get_logger()

QueueMode = Literal["fair", "fifo"]
"""Who goes first to a busy model: accounts by their shares, or whoever came first."""

BatchObserver = Callable[[str, int, int], None]
"""Told of every batch that a model ran: model, items, tokens."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Whether a model answers, and why not if it does not."""

    model: str
    kind: str
    ready: bool
    problem: str = ""
    backend: str = ""


_ONE_AT_A_TIME = threading.Lock()
"""Held while any model of the process is loaded: its library sets for that what holds for all threads."""


class ServedModel(ABC):
    """A model behind its queue; `_load` runs once, in whichever thread comes first, and its failure is remembered."""

    kind: ClassVar[str]
    most_step_tokens: ClassVar[int] = 512
    """Tokens of one step on a processor: no fewer than it works through as fast as it would larger batches."""

    _tokeniser: Tokeniser | None = None
    """Set by the `_load` of a model that can be given token ids instead of texts."""

    def __init__(
        self,
        reference: str,
        *,
        device: str = "auto",
        queue: QueueMode = "fair",
        threads: int | None = None,
        backend: Backend = "auto",
        deterministic: bool = False,
        cache: Caches | None = None,
        on_batch: BatchObserver | None = None,
        on_queue: QueueObserver | None = None,
    ) -> None:
        """`threads` is how many a backend of its own may compute with, by default as many as torch.

        A `deterministic` model gives a text, or a pair, the same bits whatever it is read together with.
        """
        self.reference = reference
        self.device = device
        self.threads = threads
        self.wanted_backend: Backend = backend
        self.deterministic = deterministic
        self.backend = ""
        """What it runs on, once it is loaded; empty for a model that has no choice."""
        self.weights = ""
        """Its fingerprint, once it is loaded; empty for a model whose layers no backend runs."""
        self.cost = CostEstimate()
        self.cache = ModelCache(cache)
        self.queue = ModelQueue(
            reference,
            QueueOptions(fair=queue == "fair", seconds_per_token=partial(self.cost.seconds, 1.0), on_change=on_queue),
        )
        self._on_batch = on_batch
        self._load_lock = threading.Lock()
        self._loaded = False
        self._problem: ModelLoadError | None = None

    def step_tokens(self, most: int) -> int:
        """The most tokens of one step, of `most` in a batch: on a processor few, so that others soon have a turn."""
        return min(most, self.most_step_tokens) if pick_device(self.device) == "cpu" else most

    @property
    def thread_count(self) -> int:
        """How many threads its own code may compute with."""
        import torch

        return self.threads or torch.get_num_threads()

    def tokeniser(self) -> Tokeniser | None:
        """What makes the token ids that it reads; None where it is given texts. Loads the model."""
        self.ensure_loaded()
        return self._tokeniser

    @property
    def tokenizer_fingerprint(self) -> str:
        """That of its tokenizer; empty where token ids that others made are of no use to it. Loads the model."""
        tokeniser = self.tokeniser()
        return tokeniser.fingerprint if tokeniser else ""

    @abstractmethod
    def _load(self) -> None:
        """Load and self-test; may take long."""

    @property
    def status(self) -> ModelStatus:
        """As of now, without waiting for anything."""
        if (problem := self._problem) is not None:
            return ModelStatus(self.reference, self.kind, False, str(problem))
        if not self.queue.alive:
            return ModelStatus(self.reference, self.kind, False, "its worker thread has ended; restart the server")
        waiting_for = "" if self._loaded else "not loaded yet"
        return ModelStatus(self.reference, self.kind, self._loaded, waiting_for, self.backend if self._loaded else "")

    async def warm_up(self) -> None:
        """Load the model off the event loop. Raises ModelLoadError, the same one again until `forget_problem`."""
        if not self._loaded:
            await self.queue.run(self.ensure_loaded, budget=Budget())

    def ensure_loaded(self) -> None:
        """Load now, in this thread, unless that was done. Raises ModelLoadError."""
        with self._load_lock:
            if self._loaded:
                return
            if (problem := self._problem) is not None:
                raise problem.with_traceback(None)  # which would grow with every raise, and keep its frames
            try:
                with _ONE_AT_A_TIME:
                    self._load()
            except Exception as error:
                # Libraries raise anything here: missing files, bad shapes, no network for a hub id.
                problem = error if isinstance(error, ModelLoadError) else self._explain(error)
                self._problem = problem
                raise problem from error
            # The self-test's batches are small and cold: by their rate tiers look too dear, and are never tried.
            self.cost.forget()
            self._loaded = True
        log.info("model_loaded", model=self.reference, kind=self.kind, device=self.device, backend=self.backend)

    def forget_problem(self) -> None:
        """Let the next call try to load again; for when what was wrong may have been put right."""
        self._problem = None

    async def aclose(self) -> None:
        """End the queue; the model's memory goes with its last reference."""
        await self.queue.aclose()

    def observe_batch(self, items: int, tokens: int, seconds: float) -> None:
        """Account for a batch that ran."""
        self.cost.observe(tokens, seconds)
        if self._on_batch is not None:
            self._on_batch(self.reference, items, tokens)

    def make_tower(self, backbone: Backbone, model: nn.Module, folder: str, read: Reader) -> Tower:
        """What runs the layers of the `model` in `folder`; `read` is how it reads a query and a passage.

        Raises ModelLoadError where the wanted backend cannot.
        """
        from cascade.inference.towers.choice import choose
        from cascade.inference.towers.records import fingerprint

        self.weights = fingerprint(model, self.kind)
        tower = choose(
            backbone,
            self.wanted_backend,
            deterministic=self.deterministic,
            device=self.device,
            threads=self.thread_count,
            model_folder=folder,
            read=read,
            name=self.reference,
            whole=self.weights,
        )
        self.backend = tower.backend
        return tower

    def run_as_library(self) -> None:
        """Its layers cannot be told from its head. Raises ModelLoadError where another backend was asked for."""
        if self.wanted_backend not in ("auto", "torch-fp32"):
            reason = (
                f"found the backend {self.wanted_backend!r}, expected 'torch-fp32' or 'auto': "
                "this model is of a kind that only its own library runs"
            )
            raise ModelLoadError(self.reference, reason)
        self.backend = "torch-fp32"

    def _explain(self, error: Exception) -> ModelLoadError:
        reason = str(error) if isinstance(error, CascadeError) else f"{type(error).__name__}: {error}"
        first_line = reason.strip().splitlines()[0] if reason.strip() else type(error).__name__
        return ModelLoadError(
            self.reference,
            f"{first_line}; expected an embedded name, the folder of a {self.kind}, or a hub id that can be reached",
        )
