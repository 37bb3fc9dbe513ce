"""The page of one bench or of several: ratios against their goals, speeds, and quality beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cascade.bench.html.view import rows, view
from cascade.bench.result import Result
from cascade.evaluate.html.document import document


def render(
    results: Sequence[Result],
    failures: Mapping[str, str] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> str:
    """One HTML document that asks no network for anything.

    `failures` are benches by name that came to no result, and why; `seconds` are what benches took, by name.
    """
    machine = results[0].machine if results else {}
    return document(
        "cascade.bench.html",
        "bench",
        view(results),
        results=[{"found": result, "quality": rows(result.quality)} for result in results],
        failures=failures or {},
        seconds=seconds or {},
        machine=machine,
    )
