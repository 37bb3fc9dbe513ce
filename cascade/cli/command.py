"""Commands whose options are those of their own function and of others, so that several commands can share some."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

Command = Callable[..., None]


def with_options(name: str, make: Callable[..., Any]) -> Callable[[Command], Command]:
    """Makes commands that have the options of `make` in place of a parameter `name`, which is what it makes of them."""

    def decorate(run: Command) -> Command:
        return command_of(run, name, [make], lambda given, shared: run(**given, **{name: make(**shared)}))

    return decorate


def command_of(run: Command, name: str, sources: Sequence[Callable[..., Any]], call: Command) -> Command:
    """`run` as a command that has the options of `sources` in place of its parameter `name`.

    `call` is given what was typed for the other parameters, and for each of `sources`, a dictionary each.
    """
    shared = [_parameters(source) for source in sources]
    every = list(chain.from_iterable(chain(*shared) if p.name == name else [p] for p in _parameters(run)))
    own = [p.name for p in _parameters(run) if p.name != name]

    def command(**given: Any) -> None:
        call({one: given[one] for one in own}, *({p.name: given[p.name] for p in part} for part in shared))

    command.__name__, command.__doc__ = run.__name__, run.__doc__
    command.__annotations__ = {p.name: p.annotation for p in every}
    signature = inspect.Signature([p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in every])
    command.__signature__ = signature  # type: ignore[attr-defined]  # where inspect and typer look
    return command


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())
