"""A session at a terminal as a document shows it: commands after `$ `, and what they print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ANYTHING = "…"
"""In what a command prints: any text, and on a line by itself any lines."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ASSIGNMENT = re.compile(r"(?P<export>export )?(?P<name>[A-Z_]+)=(?P<value>.*)")


@dataclass(frozen=True)
class Step:
    """A command and the lines that it should print."""

    command: str
    printed: tuple[str, ...]


def steps(document: str) -> Iterator[Step]:
    """Every command of the `console` blocks."""
    for kind, text in _BLOCK.findall(document):
        if kind != "console":
            continue
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, *printed = part.replace("\\\n", " ").splitlines()
            yield Step(command, tuple(printed))


def files(document: str) -> dict[str, str]:
    """The `yaml` blocks by the name that each says in its first line, a comment."""
    blocks = (text for kind, text in _BLOCK.findall(document) if kind == "yaml")
    return {text.splitlines()[0].removeprefix("# "): text for text in blocks}


@dataclass
class Shell:
    """Runs commands of a session by `run`: `cascade ...`, and assignments to variables."""

    run: Callable[[list[str]], Any]
    environment: pytest.MonkeyPatch
    variables: dict[str, str] = field(default_factory=dict)

    def __call__(self, command: str) -> str:
        """What the command prints, and for an assignment what it says on standard error."""
        assignment = _ASSIGNMENT.fullmatch(command)
        if assignment is None:
            result = self._cascade(command)
            return str(result.output)
        said, value = "", assignment["value"]
        if value.startswith("$("):
            result = self._cascade(value[2:-1])
            said, value = result.stderr, result.stdout.rstrip("\n")
        self.variables[assignment["name"]] = value = self._expanded(value)
        if assignment["export"]:
            self.environment.setenv(assignment["name"], value)
        return said

    def _cascade(self, command: str) -> Any:
        program, *arguments = shlex.split(command)
        assert program == "cascade", f"the session cannot run {command!r}"
        return self.run([self._expanded(argument) for argument in arguments])

    def _expanded(self, text: str) -> str:
        return re.sub(r"\$([A-Z_]+)", lambda found: self.variables[found[1]], text).strip('"')


def is_like(found: str, expected: Iterable[str]) -> bool:
    """Whether what was printed is what the document shows; blank lines and the width of spaces do not count."""
    wanted = [_words(line) for line in expected if line.strip()]
    pattern = "".join("(.*\n)*" if line == ANYTHING else _pattern(line) + "\n" for line in wanted)
    printed = "".join(_words(line) + "\n" for line in found.splitlines() if line.strip())
    return re.fullmatch(pattern, printed) is not None


def write(document: Path, folder: Path) -> None:
    """The document's files, in `folder`."""
    for name, text in files(document.read_text()).items():
        (folder / name).write_text(text)


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split(ANYTHING))


def _words(line: str) -> str:
    return " ".join(line.split())
