"""What the server's operator may set, by environment variables that begin with CASCADE_ or by flags."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_MOST = 2**31 - 1
"""What gRPC's options and the contract's numbers can hold."""
_DAY = 86_400.0
"""Longer is for ever, and the milliseconds of some hundred hours are what gRPC's options can hold."""


class Settings(BaseSettings):
    """The server's settings; frozen, each within its bounds."""

    model_config = SettingsConfigDict(
        env_prefix="CASCADE_", frozen=True, extra="forbid", cli_prog_name="cascade_server", cli_kebab_case=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface.")
    port: int = Field(50051, ge=0, le=65535, description="gRPC port; 0 takes a free one.")
    metrics_port: int | None = Field(
        9464, ge=0, le=65535, description="HTTP port of /metrics; 0 takes a free one, null switches it off."
    )
    data_dir: Path = Field(
        default_factory=lambda: Path.home() / ".local" / "share" / "cascade",
        description="Folder that holds indexes/TENANT/NAME.",
    )
    cascades_dir: Path | None = Field(
        None, description="Folder that holds TENANT/NAME.yaml; without it tenant 'default' has the presets only."
    )
    store_url: str | None = Field(
        None,
        description="SQLAlchemy URL of the control plane's store; unset: control.db in the data folder.",
    )
    store_poll_ms: int = Field(100, ge=10, le=1000, description="How often to ask the store whether anything changed.")
    require_credentials: bool = Field(
        False, description="Refuse callers without credentials also on loopback and before the first key exists."
    )
    tls_certificate: Path | None = Field(None, description="PEM chain to serve TLS with; read again when it changes.")
    tls_key: Path | None = Field(None, description="Its private key, PEM.")
    tls_client_ca: Path | None = Field(
        None, description="PEM roots of client certificates; every caller must then show one."
    )
    jwt_jwks: str | None = Field(None, description="File or https URL of the JWKS that tokens are checked against.")
    jwt_audience: str | None = Field(None, description="The audience that tokens must name; required with jwt_jwks.")
    jwt_issuer: str | None = Field(None, description="The issuer that tokens must name; required with jwt_jwks.")
    jwt_tenant_claim: str = Field(
        "cascade_tenant", description="The claim that names the tenant, * in an operator's token."
    )
    jwt_role_claim: str = Field("cascade_role", description="The claim that names the role: reader, writer or admin.")
    redis_url: str | None = Field(None, description="Redis in which servers share their count of quotas.")
    prices: dict[str, float] = Field(
        default_factory=dict, description="Money per million tokens, by model as cascades name it, as JSON."
    )
    model_roots: tuple[Path, ...] = Field((), description="Folders under which cascades in the store may name models.")
    hub_models: tuple[str, ...] = Field((), description="Hub ids that cascades in the store may name; * matches any.")
    backends: tuple[str, ...] = Field(
        ("torch-fp32", "torch-bf16", "native-int8"),
        description="Backends that cascades in the store may name; the others compile or convert a model for minutes.",
    )
    endpoint_urls: tuple[str, ...] = Field((), description="Beginnings of URLs that cascades in the store may name.")
    secret_roots: tuple[Path, ...] = Field((), description="Folders of key files that cascades in the store may name.")
    queue: Literal["fair", "fifo"] = Field(
        "fair", description="How a busy model serves: by weighted fair queueing, or first come first served."
    )
    overload: Literal["adaptive", "fixed"] = Field(
        "adaptive", description="Refuse what cannot be answered in time, or only what is over max_concurrent_requests."
    )
    max_wait_ms: float = Field(
        2000, gt=0, allow_inf_nan=False, description="Longest expected wait for a model that is still admitted."
    )
    default_encoder: str = Field(
        "embedded:all-minilm-l6-v2", description="Bi-encoder of indexes that are created without naming one."
    )
    threads: int | None = Field(
        None, ge=1, description="Threads that models compute with, in each worker; unset: the cores, shared out."
    )
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes that answer on the port, on Linux. Every limit and quota here holds for each of them; "
        "metrics are at metrics_port and those after it.",
    )
    cache_mb: int = Field(
        64,
        ge=0,
        le=_MOST,
        description="Megabytes to remember query vectors, scores and token ids in; 0 computes everything anew.",
    )
    device: str = Field("auto", description="Where models run: auto, cpu, cuda or cuda:N.")
    max_message_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, le=_MOST, description="Bytes of one gRPC message, either way."
    )
    max_top_k: int = Field(1000, ge=1, le=_MOST, description="Results of one request.")
    max_documents: int = Field(1000, ge=1, le=_MOST, description="Inline documents of one request.")
    max_query_chars: int = Field(4096, ge=1, le=_MOST, description="Characters of a query.")
    max_document_chars: int = Field(
        1_000_000, ge=1, le=_MOST, description="Characters of one document's title and text."
    )
    max_concurrent_requests: int = Field(64, ge=1, le=_MOST, description="Rank requests in progress at a time.")
    max_concurrent_upserts: int = Field(4, ge=1, description="Upserts in progress at a time, over all indexes.")
    max_upsert_documents: int = Field(100_000, ge=1, description="Documents of one upsert.")
    max_upsert_bytes: int = Field(
        512 * 1024 * 1024, ge=1024, description="Bytes of one upsert, which is held in memory until it is applied."
    )
    receive_timeout_seconds: float = Field(
        30.0, gt=0, le=_DAY, description="Longest pause between the messages of an upsert."
    )
    max_upsert_seconds: float = Field(
        900.0, gt=0, le=_DAY, description="Time in which all messages of an upsert must have come."
    )
    send_timeout_seconds: float = Field(
        30.0, gt=0, le=_DAY, description="Longest time that a caller may take to read one update of a stream."
    )
    max_unread_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="Bytes of answers that a tenant's callers may leave unread."
    )
    max_connections: int = Field(1024, ge=1, le=_MOST, description="Connections at a time, from all peers.")
    max_concurrent_streams: int = Field(1024, ge=1, le=_MOST, description="Calls in progress on one connection.")
    max_metadata_bytes: int = Field(16 * 1024, ge=1024, le=_MOST, description="Bytes of one call's metadata.")
    handshake_timeout_seconds: float = Field(
        10.0, gt=0, le=_DAY, description="Time in which a new connection must be ready for calls, TLS included."
    )
    max_connection_idle_seconds: float = Field(
        600.0, gt=0, le=_DAY, description="Time after which a connection without calls is closed."
    )
    max_connection_age_seconds: float = Field(
        3600.0,
        gt=0,
        le=_DAY,
        description="Age at which a connection is closed; its calls may then go on as long again.",
    )
    keepalive_seconds: float = Field(
        60.0,
        gt=0,
        le=_DAY,
        description="How often a connection with calls is asked for a sign of life, and its time for one.",
    )
    grace_seconds: float = Field(
        30.0, ge=0, allow_inf_nan=False, description="Time that requests in progress get when the server stops."
    )
    log_format: Literal["json", "console"] = Field("json", description="Log lines for machines or for people.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")

    @property
    def store_at(self) -> str:
        """The URL of the control plane's store."""
        return self.store_url or f"sqlite:///{self.data_dir / 'control.db'}"
