"""Changes one tier of a cascade file and leaves the rest of it, comments too, as its owner wrote it."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade.config import parse
from cascade.errors import ConfigError, NotFoundError

_WIDTH = 118


def with_settings(text: str, source: str, tier: str, settings: Mapping[str, Any]) -> str:
    """The cascade file `text` with `settings` of `tier` replaced or added; those that are None are taken out.

    Raises ConfigError when the file was or would become no cascade, NotFoundError for a tier that it does not have.
    """
    from ruamel.yaml import YAML

    names = [one.name for one in parse(text, source).tiers]
    if tier not in names:
        raise NotFoundError(f"tier in {source}", tier, names)
    yaml = YAML()  # keeps comments, order and quotes
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    data = yaml.load(text)
    tiers = data["tiers"]
    node = tiers[names.index(tier)]
    tiers.fa.set_block_style()
    node.fa.set_block_style()
    for key, value in settings.items():
        if value is None:
            node.pop(key, None)
        else:
            node[key] = _plain(value)
    out = io.StringIO()
    yaml.dump(data, out)
    changed = out.getvalue()
    parse(changed, source)
    return changed


def write(path: Path, text: str) -> None:
    """Write a cascade file whole or not at all, since a server may be reading it. Raises ConfigError."""
    parse(text, str(path))
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be written: {error}"]) from error


def _plain(value: Any) -> Any:
    """Lists in one line each, and no tuples, which YAML does not know."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, Mapping):
        return CommentedMap({key: _plain(one) for key, one in value.items()})
    if isinstance(value, list | tuple):
        line = CommentedSeq([_plain(one) for one in value])
        line.fa.set_flow_style()
        return line
    return value
