"""Everything that can go wrong in a cascade, as one tree.

CascadeError
├── InvalidInputError      a request that breaks the contract; lists every violated field
├── ConfigError            a cascade file that does not say a valid cascade
├── NotFoundError          a cascade, index, tenant or document that is not here
├── AlreadyExistsError     an index created twice
├── ModelLoadError         a model that cannot be loaded or fails its self-test
├── CorruptIndexError      an index folder that cannot be read
├── IndexBusyError         an index that another process is writing
├── OverloadedError        no room for more work now
├── BudgetExceededError    no time left, and no ranking exists to answer with
└── StageError             a stage broke its promise or raised, and no ranking exists to answer with
    └── UnsuitableError    what answered a stage cannot do what the stage needs, and would not the next time

Facts are attributes, so that a caller need not parse the message. There are no status codes here: the server maps each
class to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: the path of the field in the request, and what was found and expected there."""

    field: str
    message: str


class CascadeError(Exception):
    """Base of every error that Cascade raises on purpose."""


class InvalidInputError(CascadeError):
    """The request breaks the contract; `violations` names every field at fault, not only the first."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.message}" for v in self.violations))


class ConfigError(CascadeError):
    """The configuration at `source` does not describe a valid cascade; `problems` says what to change."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(self.problems))


class NotFoundError(CascadeError):
    """There is no `kind` called `name`; `known` lists those that exist, None where the caller may not learn them."""

    def __init__(self, kind: str, name: str, known: Sequence[str] | None = ()) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known or ())
        listing = "" if known is None else "; known: " + (", ".join(sorted(known)[:20]) or "none")
        super().__init__(f"no {kind} named {name!r}{listing}")


class AlreadyExistsError(CascadeError):
    """A `kind` called `name` is already here and was left as it was."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(f"a {kind} named {name!r} already exists; drop it first or choose another name")


class ModelLoadError(CascadeError):
    """The model `model` cannot be used; `reason` says what was found and what to do."""

    def __init__(self, model: str, reason: str) -> None:
        self.model = model
        self.reason = reason
        super().__init__(f"model {model!r} cannot be loaded: {reason}")


class CorruptIndexError(CascadeError):
    """The index folder at `path` cannot be read; nothing in it was changed."""

    def __init__(self, index: str, path: Path, reason: str) -> None:
        self.index = index
        self.path = path
        self.reason = reason
        super().__init__(
            f"index {index!r} at {path} cannot be read: {reason}; restore it from a copy, or drop and rebuild it"
        )


class IndexBusyError(CascadeError):
    """Another process holds the write lock of `index`."""

    def __init__(self, index: str) -> None:
        self.index = index
        super().__init__(
            f"index {index!r} is being written by another process; write through the server that serves it, or stop it"
        )


class OverloadedError(CascadeError):
    """There is no room for more work; `retry_after` is a hint in seconds."""

    def __init__(self, what: str, retry_after: float) -> None:
        self.what = what
        self.retry_after = retry_after
        super().__init__(f"{what} is overloaded; retry in {retry_after:.3g} s")


class BudgetExceededError(CascadeError):
    """Time ran out during `stage` before any ranking existed."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        super().__init__(f"the deadline passed during stage {stage!r}, before any ranking existed; allow more time")


class StageError(CascadeError):
    """Stage `stage` failed; `reason` says how."""

    def __init__(self, stage: str, reason: str) -> None:
        self.stage = stage
        self.reason = reason
        super().__init__(f"stage {stage!r} failed: {reason}")


class UnsuitableError(StageError):
    """What an endpoint answered is not what the call needs, and would not be the next time."""
