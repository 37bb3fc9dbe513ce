"""Runs the server: `python -m cascade_server --help` lists the settings."""

from __future__ import annotations

import asyncio
import os
import sys

from pydantic import ValidationError

from cascade_server.settings import Settings
from cascade_server.threads import limit

_EXIT_CONFIG = 2


def main() -> int:
    """Read flags and environment, and serve. Returns the exit status."""
    try:
        settings = Settings(_cli_parse_args=True)
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"])
            print(f"CASCADE_{name.upper()}: {problem['msg']}, found {problem['input']!r}", file=sys.stderr)
        return _EXIT_CONFIG
    # Before anything is imported that reads it.
    limit(os.environ, settings.threads)

    from cascade_server.lifecycle import serve
    from cascade_server.logs import configure

    configure(settings.log_format, settings.log_level)
    return asyncio.run(serve(settings))


if __name__ == "__main__":
    sys.exit(main())
