"""The calls about the versions of cascades: what they say."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from cascade.config import parse
from cascade.errors import ConfigError, ModelLoadError
from cascade_api.v1 import admin_pb2
from cascade_server.control.difference import changes, text_difference
from cascade_server.control.plane import ControlPlane
from cascade_server.control.state import Version
from cascade_server.convert.admin import rollout_message, version_message
from cascade_server.convert.admin_requests import check_listing, check_text, check_versions
from cascade_server.errors import ConflictError
from cascade_server.servicers.admin.permissions import acted_on, caller

Context = grpc.aio.ServicerContext[Any, Any]


class VersionCalls:
    """Versions are kept for ever as they were put; which of them answer is said elsewhere."""

    _plane: ControlPlane

    async def ValidateCascade(
        self, request: admin_pb2.ValidateCascadeRequest, context: Context
    ) -> admin_pb2.ValidateCascadeResponse:
        """See the proto."""
        acted_on(request.tenant)
        check_text(request.tenant, None, request.text)
        try:
            config = await self._plane.sound(request.text, "text")
            if request.load:
                await self._plane.loadable(config)
        except ConfigError as error:
            return admin_pb2.ValidateCascadeResponse(problems=error.problems)
        except ModelLoadError as error:
            return admin_pb2.ValidateCascadeResponse(problems=[str(error)])
        return admin_pb2.ValidateCascadeResponse(config_hash=config.config_hash)

    async def PutCascade(self, request: admin_pb2.PutCascadeRequest, context: Context) -> admin_pb2.PutCascadeResponse:
        """See the proto."""
        tenant = acted_on(request.tenant)
        check_text(request.tenant, request.cascade, request.text)
        await self._plane.sound(request.text, f"{tenant}/{request.cascade}")
        put = self._plane.store.put_version
        version, created = await self._plane.read(put, caller().subject, tenant, request.cascade, request.text)
        return admin_pb2.PutCascadeResponse(version=version_message(version), created=created)

    async def ListCascadeVersions(
        self, request: admin_pb2.ListCascadeVersionsRequest, context: Context
    ) -> admin_pb2.ListCascadeVersionsResponse:
        """See the proto."""
        tenant = acted_on(request.tenant)
        check_listing(request)
        versions = await self._plane.read(self._plane.store.versions, tenant, request.cascade)
        rollouts = await self._plane.read(self._plane.store.rollouts, tenant)
        shown = [rollouts[name] for name in sorted(rollouts) if request.cascade in ("", name)]
        return admin_pb2.ListCascadeVersionsResponse(
            versions=[version_message(v) for v in sorted(versions, key=lambda v: (v.cascade, -v.number))],
            rollouts=[rollout_message(rollout) for rollout in shown],
        )

    async def GetCascadeVersion(
        self, request: admin_pb2.GetCascadeVersionRequest, context: Context
    ) -> admin_pb2.GetCascadeVersionResponse:
        """See the proto."""
        tenant = acted_on(request.tenant)
        check_versions(request.tenant, request.cascade, version=request.version)
        version = await self._plane.read(self._plane.store.version, tenant, request.cascade, request.version)
        return admin_pb2.GetCascadeVersionResponse(version=version_message(version, with_text=True))

    async def DiffCascade(
        self, request: admin_pb2.DiffCascadeRequest, context: Context
    ) -> admin_pb2.DiffCascadeResponse:
        """See the proto."""
        tenant = acted_on(request.tenant)
        check_versions(
            request.tenant, request.cascade, from_version=request.from_version, to_version=request.to_version
        )
        after = await self._plane.read(self._plane.store.version, tenant, request.cascade, request.to_version)
        number = request.from_version or await self._active(tenant, request.cascade)
        before = await self._plane.read(self._plane.store.version, tenant, request.cascade, number)
        return await asyncio.to_thread(_difference, before, after)

    async def _active(self, tenant: str, cascade: str) -> int:
        rollouts = await self._plane.read(self._plane.store.rollouts, tenant)
        if cascade not in rollouts:
            raise ConflictError(f"no version of cascade {cascade!r} is active; say which from_version to compare with")
        return rollouts[cascade].active


def _difference(before: Version, after: Version) -> admin_pb2.DiffCascadeResponse:
    names = [f"{version.cascade} version {version.number}" for version in (before, after)]
    return admin_pb2.DiffCascadeResponse(
        diff=text_difference(before.text, after.text, names[0], names[1]),
        changes=changes(parse(before.text, names[0]), parse(after.text, names[1])),
    )
