"""One HTML file with all that it needs inside: style, script, plotting library and data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

_OWN = "cascade.evaluate.html"


def document(
    package: str, name: str, data: Any, *, filters: Mapping[str, Callable[..., str]] | None = None, **values: Any
) -> str:
    """`package`'s template NAME.html, which extends base.html, with NAME.css and NAME.js after those of all pages.

    Whatever is shown is shown as text, never as markup: the template escapes `values`, and the script reads `data` from
    a JSON block and makes text nodes of it. The page asks no network for anything.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda template: _part(*template.split("/"))),
    )
    environment.filters |= filters or {}
    return environment.get_template(f"{package}/{name}.html").render(
        **values,
        style=Markup(_part(_OWN, "base.css") + _part(package, f"{name}.css")),
        script=Markup(_part(_OWN, "charts.js") + _part(package, f"{name}.js")),
        plotly=Markup(get_plotlyjs()),
        data=Markup(_script_json(data)),
    )


def _script_json(data: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _part(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
