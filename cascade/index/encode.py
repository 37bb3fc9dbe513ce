"""Vectors for documents that are about to enter an index, computing none that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cascade.errors import ModelLoadError
from cascade.index.info import DocumentEncoder, Vectors
from cascade.index.pending import Pending, content_key
from cascade.index.snapshot import Snapshot
from cascade.types import Document

Progress = Callable[[int, int], None]
_CHUNK = 128


def encode(
    documents: Sequence[Document],
    encoder: DocumentEncoder,
    before: Snapshot,
    pending: Pending,
    report: Callable[[int], None],
) -> Vectors:
    """One unit vector per document, float32 (documents, dimensions); `report` hears how many documents have theirs.

    A passage that is in `before` under the same id keeps its vector, one in `pending` takes it from there, equal
    passages are encoded once, and every chunk that was encoded is in `pending` before the next begins. Raises
    ModelLoadError when the encoder gives anything but finite vectors of the index's dimensions.
    """
    vectors = np.empty((len(documents), before.info.dimensions), dtype=np.float32)
    waiting: dict[bytes, list[int]] = {}
    kept = pending.load()
    here = before.fetch([d.doc_id for d in documents])
    reused = [place for place, d in enumerate(documents) if d.doc_id in here and here[d.doc_id].passage == d.passage]
    vectors[reused] = before.vectors([documents[place].doc_id for place in reused])
    for place in sorted(set(range(len(documents))) - set(reused)):
        key = content_key(documents[place].passage)
        if key in kept:
            vectors[place] = kept[key]
        else:
            waiting.setdefault(key, []).append(place)
    done = len(documents) - sum(map(len, waiting.values()))
    report(done)
    keys = list(waiting)
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        found = _checked(encoder, [documents[waiting[key][0]].passage for key in chunk], vectors.shape[1])
        pending.save(chunk, found)
        for key, vector in zip(chunk, found, strict=True):
            vectors[waiting[key]] = vector
            done += len(waiting[key])
        report(done)
    return vectors


def _checked(encoder: DocumentEncoder, passages: Sequence[str], dimensions: int) -> Vectors:
    found = np.asarray(encoder.encode_documents(passages), dtype=np.float32)
    if found.shape != (len(passages), dimensions):
        raise ModelLoadError(
            encoder.reference, f"it gave vectors of shape {found.shape}, expected {(len(passages), dimensions)}"
        )
    if not np.isfinite(found).all():
        raise ModelLoadError(encoder.reference, "it gave vectors with NaN or infinity; check its weights")
    return found
