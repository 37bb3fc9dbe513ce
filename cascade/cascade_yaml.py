"""Reads YAML that anybody may have written: bounded in size, in depth and in what its aliases stand for."""

from __future__ import annotations

from typing import Any

import yaml

from cascade.errors import ConfigError

MAX_BYTES = 64 * 1024
"""A cascade is a page; one with a long calibration has a few thousand numbers."""
MAX_NODES = 10_000
"""Keys, values, lists and mappings, each as often as aliases repeat it."""
MAX_DEPTH = 32


def read_mapping(text: str, source: str) -> dict[Any, Any]:
    """The mapping that `text` is. Raises ConfigError for anything else, and for more than the bounds above."""
    size = len(text.encode(errors="replace"))
    if size > MAX_BYTES:
        raise ConfigError(source, [f"not a cascade: found {size} bytes, expected at most {MAX_BYTES}"])
    try:
        data: Any = yaml.load(text, _Loader)
    except _ExcessError as error:
        raise ConfigError(source, [f"not a cascade: {error}"]) from error
    except (yaml.YAMLError, ValueError) as error:  # the latter for what looks like a date or number and is none
        raise ConfigError(source, [f"not valid YAML: {error}"]) from error
    except (LookupError, AttributeError, ArithmeticError) as error:  # what the library does with some of those
        problem = "not valid YAML: found a value that is not what its tag or form says, such as !!int ''"
        raise ConfigError(source, [problem]) from error
    if not isinstance(data, dict):
        raise ConfigError(source, [f"found {type(data).__name__}, expected a mapping with the key 'retrieve'"])
    return data


class _ExcessError(Exception):
    """What is sound YAML and no cascade: its message says what there was too much of, and where."""


class _Loader(yaml.SafeLoader):
    """Counts while it composes, so that nothing is built of what is too much.

    It refuses a key that stands twice in a mapping, of which YAML would silently drop the first, and text that is none.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = 0
        self._depth = 0
        self._deepest = 0
        # Of every node that is complete: how many nodes and levels it stands for, aliases followed.
        self._extents: dict[yaml.Node, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # the library types only the rest
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if node not in self._extents:
                raise self._excess("an alias that stands within what it stands for; write it out", event)
            nodes, levels = self._extents[node]
            self._count(nodes, levels, event)
            return node
        outer, before = self._deepest, self._nodes
        self._count(1, 1, event)
        self._depth += 1
        self._deepest = self._depth
        node = super().compose_node(parent, index)
        assert node is not None  # None stands for the end of the stream, which was no event to compose
        self._extents[node] = (self._nodes - before, self._deepest - self._depth + 1)
        self._deepest = max(outer, self._deepest)
        self._depth -= 1
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        try:
            node.value.encode()
        except UnicodeEncodeError as error:  # no hash, no message and no database could hold it
            problem = "found half a character, a surrogate such as \\uD83D; write the character itself"
            raise yaml.MarkedYAMLError(None, None, problem, node.start_mark) from error
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        first: dict[str, yaml.Mark] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            mark = first.setdefault(key.value, key.start_mark)
            if mark is not key.start_mark:
                problem = f"found the key {key.value!r} again; keep one of the two"
                raise yaml.MarkedYAMLError("the first one stands here", mark, problem, key.start_mark)
        return node

    def _count(self, nodes: int, levels: int, event: yaml.Event) -> None:
        self._nodes += nodes
        self._deepest = max(self._deepest, self._depth + levels)
        if self._nodes > MAX_NODES:
            raise self._excess(f"more than {MAX_NODES} keys and values, aliases followed", event)
        if self._deepest > MAX_DEPTH:
            raise self._excess(f"lists or mappings nested too deep, more than {MAX_DEPTH} levels", event)

    def _excess(self, found: str, event: yaml.Event) -> _ExcessError:
        where = "" if event.start_mark is None else f", in line {event.start_mark.line + 1}"
        return _ExcessError(f"found {found}{where}")
