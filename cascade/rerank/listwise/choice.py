"""Whether a language model runs in eight bits: where it is asked for, or where a record says that it costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog

from cascade.inference.towers import records
from cascade.inference.towers.native import available
from cascade.inference.towers.tower import Backend
from cascade.rerank.listwise.native_llama import NativeLlama

log = structlog.get_logger()


def chosen(stack: Any, wanted: Backend, *, weights: str, folder: Path, name: str) -> Backend:
    """What to ask `decoder_of` for: `wanted`, or for `auto` native-int8 where it costs nothing that counts.

    That is where a record says so of exactly these `weights`, the fingerprint of the whole model in `folder`, and this
    processor multiplies bytes faster than bfloat16. Asked for by name without such a record, it is taken and told of;
    `name` is the model's in that message.
    """
    if wanted not in ("auto", "native-int8"):
        return wanted
    record = records.find(weights, "native-int8", folder)
    known = record is not None and record.acceptable
    if wanted == "native-int8" and not known:
        losses = {one.collection: one.loss for one in record.collections} if record else {}
        log.warning("backend_quality_doubtful", model=name, backend=wanted, measured=bool(record), losses=losses)
    return "native-int8" if known and NativeLlama.runs(stack) and available() else wanted
