"""Where a language model runs that is asked over HTTP."""

from __future__ import annotations

from pydantic import Field

from cascade.config.fields import Model, Strict


class EndpointConfig(Strict):
    """A server that speaks OpenAI's API; `url` ends in /v1; the key is in a file, never here."""

    url: str = Field(pattern=r"^https?://[^\s]+$")
    model: Model
    api_key_file: str | None = None
    timeout_ms: float = Field(10_000, gt=0)
    retries: int = Field(1, ge=0, le=5)
