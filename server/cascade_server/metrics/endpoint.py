"""The HTTP server that Prometheus asks."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, start_http_server

from cascade.errors import ConfigError


class MetricsEndpoint:
    """The HTTP server of /metrics, in a thread of its own."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        """Listens on `port`, or on a free one for 0. Raises ConfigError when it is taken."""
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigError("metrics_port", [f"{host}:{port} cannot be listened on: {error}"]) from error
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop answering and end the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
