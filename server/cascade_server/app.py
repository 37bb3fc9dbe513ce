"""The server, put together: which part is given which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from cascade import presets
from cascade.errors import ConfigError, ModelLoadError
from cascade.inference.model import ModelStatus, ServedModel
from cascade.models import Models
from cascade_api.v1 import admin_pb2_grpc, index_pb2_grpc, ranking_pb2_grpc, server_pb2_grpc
from cascade_server.access.authenticator import Authenticator
from cascade_server.access.check import AccessCheck
from cascade_server.access.configured import check_access
from cascade_server.access.tls import listen
from cascade_server.accounting import Accounting
from cascade_server.cascade_files import read_cascades
from cascade_server.control.database import SETTING
from cascade_server.control.plane import ControlPlane
from cascade_server.control.state import State
from cascade_server.control.store import Store
from cascade_server.control.watcher import Watcher
from cascade_server.errors import StoreError
from cascade_server.health import ADMIN, INDEX, RANKING, SERVER, Health
from cascade_server.indexes import Indexes
from cascade_server.interceptors.requests import RequestInterceptor
from cascade_server.metrics import Metrics, MetricsEndpoint
from cascade_server.overload.build import build_gate
from cascade_server.overload.permits import Permits
from cascade_server.overload.writing import Writing
from cascade_server.rollout.report import Report
from cascade_server.rollout.shadow import Shadows
from cascade_server.rollout.sources import check_sources
from cascade_server.servicers.admin import AdminServicer
from cascade_server.servicers.index import IndexServicer
from cascade_server.servicers.info import InfoServicer
from cascade_server.servicers.ranking import RankingServicer
from cascade_server.settings import Settings
from cascade_server.tenants import Configs, Tenants
from cascade_server.transport import server_options
from cascade_server.usage import UsageCounter

# Health watchers never end by themselves; this is how long the news that the server stops has to reach them.
_LAST_WORDS_SECONDS = 0.5

# A version that is rolled back, or tried before it is activated, must not cost its models a second loading.
_UNUSED_SECONDS = 30.0
_TIDY_EVERY_SECONDS = 1.0

log = structlog.get_logger()


class Server:
    """A server that can be started once and stopped once, in any process that runs an event loop.

    It installs no signal handlers and configures no logging: that is the program's business.
    """

    def __init__(
        self, settings: Settings, *, cascades: Callable[[], Configs] | None = None, shares_port: bool = False
    ) -> None:
        """`cascades` gives every tenant's cascades by name, instead of the presets and the files of `settings`.

        With `shares_port`, other processes of this server listen on its port too.
        """
        self.settings = settings
        self._shares_port = shares_port
        self.port = 0
        self.metrics_port: int | None = None
        self._metrics = Metrics()
        self.models = Models(
            threads=settings.threads,
            device=settings.device,
            queue=settings.queue,
            cache_bytes=settings.cache_mb * 2**20,
            on_batch=self._metrics.batch,
            on_queue=self._metrics.overload.queued,
        )
        self._metrics.caches.watch(self.models.caches)
        self._tenants = Tenants(
            cascades or partial(read_cascades, settings.cascades_dir, presets.load_all()),
            self.models,
            forbidden=partial(check_sources, settings=settings),
            changed=Report(self._metrics).changed,
        )
        self._writing = Writing(self.models, lambda tenant: self._tenants.get(tenant).account)
        self._indexes = Indexes(
            settings.data_dir / "indexes",
            self._writing.encoder,
            self._metrics.indexes,
            token_encoders=self._writing.token_encoder,
            # More than there can be upserts, so that a short write is not held up by long ones.
            writers=settings.max_concurrent_upserts + 2,
        )
        self._health = Health(self._vital_models)
        self._ranking, self._upserts = (
            Permits(limit, others=lambda: len(self._tenants.names) > 1)
            for limit in (settings.max_concurrent_requests, settings.max_concurrent_upserts)
        )
        self._gate = build_gate(settings, self._ranking, self.models, self._metrics)
        self._shadows = Shadows(self._metrics.rollouts, lambda: self._ranking.scarce, settings.prices)
        self._store = Store(settings.store_at)
        self._usage = UsageCounter(self._store.add_usage)
        self._accounting = Accounting(self._metrics, self._usage, settings.prices)
        self._watcher = Watcher(self._store, settings.store_poll_ms / 1e3, self.follow)
        self._metrics.store.watch(
            self.settings.store_at.partition(":")[0],
            problem=lambda: self._watcher.problem,
            revision=lambda: self._watcher.state.revision,
            kept=lambda: self._usage.kept,
        )
        self._plane = ControlPlane(
            self._store,
            forbidden=partial(check_sources, settings=settings),
            load=self._tenants.try_load,
            follow=self._watcher.follow,
            counted=self._usage.flush,
        )
        self._authenticator = Authenticator(settings, lambda: self._watcher.state)
        self._requests = RequestInterceptor(AccessCheck(self._authenticator), self._tenants, self._metrics, settings)
        self._grpc: grpc.aio.Server | None = None
        self._endpoint: MetricsEndpoint | None = None
        self._watch: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen, load all models, and return the port once requests are answered.

        Until then requests are refused as UNAVAILABLE. Raises ConfigError for cascade files that are not valid and for
        an address that cannot be had; a model that cannot be loaded is reported by health and to those who ask for it.
        """
        check_access(self.settings)
        self._writing.start()
        await self._authenticator.start()
        self._tenants.read()
        if self.settings.metrics_port is not None:
            self._endpoint = self._metrics.serve(self.settings.host, self.settings.metrics_port)
            self.metrics_port = self._endpoint.port
        state = await self._open_store()
        await self._tenants.apply(state)
        self._watcher.start(state)
        self._usage.start()
        await self._health.refresh()
        self._grpc = self._listen()
        await self._grpc.start()
        log.info("listening", host=self.settings.host, port=self.port, metrics_port=self.metrics_port)
        for tenant in self._tenants.names:
            await self._indexes.measure(tenant)
        self._upserts.open()
        await self._tenants.warm_up()
        self._ranking.open()
        await self._health.warmed_up()
        self._watch = asyncio.create_task(self._health.watch())
        self._tidying = asyncio.create_task(self._tidy())
        log.info("ready", tenants=len(self._tenants.names), cascades=len(list(self._tenants)))
        return self.port

    async def reload(self) -> None:
        """Read the cascade files again; where anything is wrong with them, keep all as it was and log why.

        Models that could not be loaded are tried again: the operator may have put them where they belong.
        """
        self.models.forget_problems()
        try:
            await self._tenants.reload()
        except (ConfigError, ModelLoadError) as error:
            self._metrics.reloaded("refused")
            log.error("reload_refused", problem=str(error))
            return
        for tenant in self._tenants.names:
            await self._indexes.measure(tenant)
        await self._health.refresh()
        self._metrics.reloaded("done")
        log.info("reloaded", tenants=len(self._tenants.names), cascades=len(list(self._tenants)))

    async def follow(self, state: State) -> None:
        """Have what the store says in force: at once what is loaded, the rest as soon as its models are."""
        before = set(self._tenants.names)
        await self._tenants.apply(state)
        for tenant in sorted(set(self._tenants.names) - before):
            await self._indexes.measure(tenant)
        await self._health.refresh()

    async def stop(self, grace: float | None = None) -> None:
        """Refuse new requests, give those in progress `grace` seconds, and release everything."""
        log.info("draining", grace=grace)
        await self._health.drain()
        if self._watch is not None:
            self._watch.cancel()
        if self._grpc is not None:
            await self._requests.drain(grace)
            await self._grpc.stop(min(grace or 0.0, _LAST_WORDS_SECONDS))
        await self._usage.aclose()
        await self._watcher.aclose()
        await asyncio.to_thread(self._store.close)
        if self._tidying is not None:
            self._tidying.cancel()
        await self._shadows.aclose()
        await self._authenticator.aclose()
        await self._indexes.aclose()
        await self._gate.aclose()
        await self._tenants.aclose()
        await self.models.aclose()
        if self._endpoint is not None:
            await asyncio.to_thread(self._endpoint.close)
        log.info("stopped")

    async def _tidy(self) -> None:
        """Release models that nobody needs any more, until cancelled."""
        while True:
            await asyncio.sleep(_TIDY_EVERY_SECONDS)
            await self.models.release(_UNUSED_SECONDS, keep={self.settings.default_encoder})

    async def _open_store(self) -> State:
        """What the store says, once it is as this release needs it. Raises ConfigError."""
        try:
            await asyncio.to_thread(self._store.migrate)
            return await asyncio.to_thread(self._store.state)
        except StoreError as error:
            # Without it nobody knows whose keys are good, so that nobody could be let in.
            raise ConfigError(SETTING, [error.reason]) from error

    def _listen(self) -> grpc.aio.Server:
        server = grpc.aio.server(
            interceptors=(self._requests,), options=server_options(self.settings, shares_port=self._shares_port)
        )
        ranking_pb2_grpc.add_RankingServiceServicer_to_server(
            RankingServicer(
                self._tenants,
                self._indexes,
                self.models,
                self._gate,
                self._accounting,
                self._metrics.rollouts,
                self._shadows,
                self.settings,
            ),
            server,
        )
        index_pb2_grpc.add_IndexServiceServicer_to_server(
            IndexServicer(self._tenants, self._indexes, self._upserts, self.settings), server
        )
        server_pb2_grpc.add_ServerServiceServicer_to_server(
            InfoServicer(self._tenants, self.models, self.settings), server
        )
        admin_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(self._plane), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection(
            (RANKING, INDEX, SERVER, ADMIN, health_name, reflection.SERVICE_NAME), server
        )
        address = f"{self.settings.host}:{self.settings.port}"
        try:
            self.port = listen(server, address, self.settings)
        except RuntimeError as error:
            raise ConfigError("port", [f"{address} cannot be listened on; is another server running there?"]) from error
        return server

    def _vital_models(self) -> Sequence[ModelStatus]:
        # By what is held and not by name: a tenant may have the same model run by another backend, or as another kind.
        held = {model for cascade in self._tenants.vital for model in self.models.held_by(cascade)}
        return [model.status for model in held if isinstance(model, ServedModel)]
