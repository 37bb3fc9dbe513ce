"""Errors as a person or a program reads them: a message on standard error and an exit status.

2 says that the command as it was typed cannot succeed, 1 that it failed, 130 that it was interrupted.
"""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

_BAD_INPUT = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "OUT_OF_RANGE", "CONFIG"}


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong: `code` is a gRPC status by name, or CONFIG, USAGE or OS; `problems` are (field, message)."""

    code: str
    message: str
    problems: tuple[tuple[str, str], ...] = ()
    retry_after: float | None = None

    @property
    def exit_status(self) -> int:
        """2 for bad input, 1 for a failure."""
        return 2 if self.code in _BAD_INPUT else 1

    def to_json(self) -> dict[str, Any]:
        """The error object."""
        found: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.problems:
            found["violations"] = [{"field": field, "message": message} for field, message in self.problems]
        if self.retry_after is not None:
            found["retry_after_seconds"] = self.retry_after
        return {"error": found}

    def to_text(self) -> str:
        """The message, with one line for each problem when there are several."""
        if len(self.problems) < 2:
            return f"error: {self.message}"
        lines = [f"  {field}: {message}" if field else f"  {message}" for field, message in self.problems]
        return "\n".join([f"error: {len(self.problems)} problems", *lines])


def failure_of(error: Exception) -> Failure | None:
    """What `error` means to whoever typed the command; None for a mistake in the program itself."""
    from cascade.errors import CascadeError

    if isinstance(error, CascadeError):
        return _of_engine(error)
    if isinstance(error, OSError):
        return Failure("OS", str(error))
    from cascade_client import ClientError

    if isinstance(error, ClientError):
        problems = tuple((v.field, v.message) for v in error.details.violations)
        return Failure(error.code.name, error.message, problems, error.details.retry_after)
    return None


def _of_engine(error: Exception) -> Failure:
    from cascade.errors import CascadeError, ConfigError, InvalidInputError, OverloadedError
    from cascade_server.status import code_of

    assert isinstance(error, CascadeError)
    if isinstance(error, ConfigError):
        return Failure("CONFIG", str(error), tuple((error.source, problem) for problem in error.problems))
    problems: tuple[tuple[str, str], ...] = ()
    if isinstance(error, InvalidInputError):
        problems = tuple((v.field, v.message) for v in error.violations)
    retry_after = error.retry_after if isinstance(error, OverloadedError) else None
    return Failure(code_of(error).name, str(error), problems, retry_after)


class Reporting(TyperGroup):
    """The root of all commands, which turns whatever they raise into a report and an exit status."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Typer's, keeping in mind whether errors are to be JSON too."""
        ctx.meta["as_json"] = "--json" in args
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except TyperException as error:
            if not ctx.meta.get("as_json"):
                raise
            typer.echo(json.dumps(Failure("USAGE", error.format_message()).to_json()), err=True)
            raise typer.Exit(error.exit_code) from error
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            failure = failure_of(error)
            if failure is None or (isinstance(error, OSError) and error.errno == errno.EPIPE):
                raise
            text = json.dumps(failure.to_json(), ensure_ascii=False) if ctx.meta["as_json"] else failure.to_text()
            typer.echo(text, err=True)
            raise typer.Exit(failure.exit_status) from error
