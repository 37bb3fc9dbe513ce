"""AdminService: changes who may use this server and what it runs, while it runs."""

from __future__ import annotations

from cascade_api.v1 import admin_pb2_grpc
from cascade_server.control.plane import ControlPlane
from cascade_server.servicers.admin.keys import KeyCalls
from cascade_server.servicers.admin.records import RecordCalls
from cascade_server.servicers.admin.rollouts import RolloutCalls
from cascade_server.servicers.admin.tenants import TenantCalls
from cascade_server.servicers.admin.versions import VersionCalls


class AdminServicer(
    TenantCalls, VersionCalls, RolloutCalls, KeyCalls, RecordCalls, admin_pb2_grpc.AdminServiceServicer
):
    """Thin: requests are checked in `convert`, rules are the control plane's, and the store keeps what is so."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
