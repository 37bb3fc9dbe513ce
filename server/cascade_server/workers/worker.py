"""One of several processes on a port: `python -m cascade_server.workers.worker`, which a supervisor starts."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from typing import BinaryIO

from cascade_server.threads import limit
from cascade_server.workers.link import Orders, Ready, ended, to_supervisor


def main() -> int:
    """Serve as the first line of standard input says, until told to stop or the supervisor is gone."""
    line = sys.stdin.buffer.readline()
    if not line:
        return 0  # the supervisor was gone at once
    orders = Orders.from_line(line)
    supervisor = to_supervisor()
    limit(os.environ, orders.settings.threads)

    from cascade_server.lifecycle import serve_alone
    from cascade_server.logs import configure

    settings = orders.settings
    configure(settings.log_format, settings.log_level, worker=orders.number)
    serving = serve_alone(
        settings,
        shares_port=True,
        ready=lambda server: _say(supervisor, Ready(server.metrics_port)),
        until=partial(ended, sys.stdin.buffer),
    )
    return asyncio.run(serving)


def _say(supervisor: BinaryIO, ready: Ready) -> None:
    supervisor.write(ready.to_line())


if __name__ == "__main__":
    sys.exit(main())
