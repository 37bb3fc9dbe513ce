"""What gRPC is told about connections: what a peer may hold open, for how long, and how large what it sends may be."""

from __future__ import annotations

from cascade_server.settings import Settings

Options = tuple[tuple[str, int], ...]


def server_options(settings: Settings, *, shares_port: bool = False) -> Options:
    """The options of the gRPC server; every one that concerns strangers bounds what they can take."""
    return (
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # Two servers on one port would share its calls without a word, which only one's own workers may.
        ("grpc.so_reuseport", int(shares_port)),
        # A connection above the bound is closed at once; one that says nothing sensible, when the handshake ends.
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.server_handshake_timeout_ms", _milliseconds(settings.handshake_timeout_seconds)),
        ("grpc.max_concurrent_streams", settings.max_concurrent_streams),
        # Between the two gRPC refuses at random, more often the larger it is.
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.max_metadata_bytes),
        # Closed with a GOAWAY, so that a client goes on over a new connection and loses nothing.
        ("grpc.max_connection_idle_ms", _milliseconds(settings.max_connection_idle_seconds)),
        ("grpc.max_connection_age_ms", _milliseconds(settings.max_connection_age_seconds)),
        ("grpc.max_connection_age_grace_ms", _milliseconds(settings.max_connection_age_seconds)),
        # A peer that is gone without a word is noticed, and its calls end.
        ("grpc.keepalive_time_ms", _milliseconds(settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", _milliseconds(settings.keepalive_seconds)),
        # One that pings more often than every 5 minutes without data loses its connection the third time.
        ("grpc.http2.min_ping_interval_without_data_ms", 300_000),
        ("grpc.http2.max_ping_strikes", 2),
    )


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
