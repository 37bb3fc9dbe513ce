"""Holds every library to the same number of threads."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")


def limit(environment: MutableMapping[str, str], threads: int) -> None:
    """Set what libraries read from `environment` when they are first imported; torch is told if it is there already."""
    environment.update(dict.fromkeys(_VARIABLES, str(threads)))
    environment["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(threads)
