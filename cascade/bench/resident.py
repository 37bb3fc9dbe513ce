"""Prints the bytes that this process takes for the vector search in a folder, or null where that cannot be told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from cascade.index.flat import load_faiss
from cascade.index.vectors import VectorSearch

_SEARCHES, _DEPTH = 20, 100


def measure(folder: Path) -> int | None:
    """What loading the search and searching takes of memory that is no file's."""
    load_faiss()
    before = _anonymous_bytes()
    search = VectorSearch.load(folder)
    for query in np.random.default_rng(0).standard_normal((_SEARCHES, search.flat.d), dtype=np.float32):
        search.search(query, _DEPTH, None)
    after = _anonymous_bytes()
    return None if before is None or after is None else after - before


def _anonymous_bytes() -> int | None:
    """Memory of this process that is no file's, as Linux tells it."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
    return int(lines["RssAnon"].split()[0]) * 1024 if "RssAnon" in lines else None


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
