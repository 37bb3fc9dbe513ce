"""The calls about which versions of a cascade answer."""

from __future__ import annotations

from typing import Any

import grpc

from cascade_api.v1 import admin_pb2
from cascade_server.control.plane import ControlPlane
from cascade_server.convert.admin import rollout_message
from cascade_server.convert.admin_requests import check_activation, check_cascade, check_share
from cascade_server.servicers.admin.permissions import acted_on, caller

Context = grpc.aio.ServicerContext[Any, Any]


class RolloutCalls:
    """A version comes into force only when its models are loaded; until then the ones before go on."""

    _plane: ControlPlane

    async def ActivateCascade(
        self, request: admin_pb2.ActivateCascadeRequest, context: Context
    ) -> admin_pb2.ActivateCascadeResponse:
        """See the proto."""
        tenant = acted_on(request.tenant)
        check_activation(request)
        await self._plane.ready(tenant, request.cascade, request.version)
        made = await self._plane.change(
            self._plane.store.activate, caller().subject, tenant, request.cascade, request.version
        )
        return admin_pb2.ActivateCascadeResponse(rollout=rollout_message(made))

    async def RollBackCascade(
        self, request: admin_pb2.RollBackCascadeRequest, context: Context
    ) -> admin_pb2.RollBackCascadeResponse:
        """See the proto."""
        tenant = acted_on(request.tenant)
        check_cascade(request.tenant, request.cascade)
        now = (await self._plane.read(self._plane.store.rollouts, tenant)).get(request.cascade)
        if now is not None and now.previous is not None:
            await self._plane.ready(tenant, request.cascade, now.previous)
        made = await self._plane.change(self._plane.store.roll_back, caller().subject, tenant, request.cascade)
        return admin_pb2.RollBackCascadeResponse(rollout=rollout_message(made))

    async def SetCanary(self, request: admin_pb2.SetCanaryRequest, context: Context) -> admin_pb2.SetCanaryResponse:
        """See the proto."""
        tenant = acted_on(request.tenant)
        number, percent = check_share(request)
        if number is not None:
            await self._plane.ready(tenant, request.cascade, number)
        set_canary = self._plane.store.set_canary
        made = await self._plane.change(set_canary, caller().subject, tenant, request.cascade, number, percent)
        return admin_pb2.SetCanaryResponse(rollout=rollout_message(made))

    async def SetShadow(self, request: admin_pb2.SetShadowRequest, context: Context) -> admin_pb2.SetShadowResponse:
        """See the proto."""
        tenant = acted_on(request.tenant)
        number, percent = check_share(request)
        if number is not None:
            await self._plane.ready(tenant, request.cascade, number)
        set_shadow = self._plane.store.set_shadow
        made = await self._plane.change(set_shadow, caller().subject, tenant, request.cascade, number, percent)
        return admin_pb2.SetShadowResponse(rollout=rollout_message(made))

    async def DeactivateCascade(
        self, request: admin_pb2.DeactivateCascadeRequest, context: Context
    ) -> admin_pb2.DeactivateCascadeResponse:
        """See the proto."""
        tenant = acted_on(request.tenant)
        check_cascade(request.tenant, request.cascade)
        await self._plane.change(self._plane.store.deactivate, caller().subject, tenant, request.cascade)
        return admin_pb2.DeactivateCascadeResponse()
