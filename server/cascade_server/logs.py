"""Log lines as events with fields, one JSON object a line or readable columns, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

# Without local variables: they would put the texts of queries and documents into the log.
_TRACEBACK = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
_print_traceback = structlog.dev.RichTracebackFormatter(show_locals=False)


def configure(
    log_format: Literal["json", "console"] = "json", level: str = "info", *, worker: int | None = None
) -> None:
    """Send this process's log lines to standard error; for programs, not for libraries, since it is global.

    Each of several workers is named in its lines.
    """
    numeric = logging.getLevelNamesMapping()[level.upper()]
    ending: list[structlog.typing.Processor] = (
        [structlog.processors.ExceptionRenderer(_TRACEBACK), structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_print_traceback)]
    )
    structlog.configure(
        processors=[
            *([] if worker is None else [_of(worker)]),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *ending,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),  # a line in one piece, whoever else writes there
        cache_logger_on_first_use=False,
    )
    quiet = max(numeric, logging.WARNING)
    logging.basicConfig(stream=sys.stderr, level=quiet, format="%(levelname)s %(name)s %(message)s")


def _of(worker: int) -> structlog.typing.Processor:
    def name(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["worker"] = worker
        return event

    return name
