"""Vectors for documents that are about to enter an index, computing none that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from cascade.errors import ModelLoadError
from cascade.index.info import DocumentEncoder, TokenEncoder, Vectors
from cascade.index.pending import Pending, content_key
from cascade.index.snapshot import Snapshot
from cascade.index.token_vectors import to_bytes
from cascade.types import Document

Progress = Callable[[int, int], None]
_CHUNK = 128


class Encoded(NamedTuple):
    """One unit vector per document, float32 (documents, dimensions), and each one's token vectors, or none."""

    vectors: Vectors
    token_vectors: list[bytes]


def encode(
    documents: Sequence[Document],
    encoder: DocumentEncoder,
    token_encoder: TokenEncoder | None,
    before: Snapshot,
    pending: Pending,
    report: Callable[[int], None],
) -> Encoded:
    """What every document's passage is encoded to; `report` hears how many documents have theirs.

    A passage that is in `before` under the same id keeps its vectors, one in `pending` takes them from there, equal
    passages are encoded once, and every chunk that was encoded is in `pending` before the next begins. Raises
    ModelLoadError when an encoder gives anything but finite vectors of the index's dimensions.
    """
    vectors = np.empty((len(documents), before.info.dimensions), dtype=np.float32)
    tokens = [b""] * len(documents)
    waiting: dict[bytes, list[int]] = {}
    kept = pending.load()
    here = before.fetch([d.doc_id for d in documents])
    reused = [place for place, d in enumerate(documents) if d.doc_id in here and here[d.doc_id].passage == d.passage]
    reused_ids = [documents[place].doc_id for place in reused]
    vectors[reused] = before.vectors(reused_ids)
    if before.token_vectors is not None:
        for place, content in zip(reused, before.token_vectors.contents(reused_ids), strict=True):
            tokens[place] = content
    for place in sorted(set(range(len(documents))) - set(reused)):
        key = content_key(documents[place].passage)
        if key in kept:
            vectors[place], tokens[place] = kept[key]
        else:
            waiting.setdefault(key, []).append(place)
    done = len(documents) - sum(map(len, waiting.values()))
    report(done)
    keys = list(waiting)
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        passages = [documents[waiting[key][0]].passage for key in chunk]
        found = _checked(encoder, passages, vectors.shape[1])
        found_tokens = _token_vectors(token_encoder, passages) if token_encoder else [b""] * len(chunk)
        pending.save(chunk, found, found_tokens)
        for key, vector, content in zip(chunk, found, found_tokens, strict=True):
            vectors[waiting[key]] = vector
            for place in waiting[key]:
                tokens[place] = content
            done += len(waiting[key])
        report(done)
    return Encoded(vectors, tokens)


def _checked(encoder: DocumentEncoder, passages: Sequence[str], dimensions: int) -> Vectors:
    found = np.asarray(encoder.encode_documents(passages), dtype=np.float32)
    if found.shape != (len(passages), dimensions):
        raise ModelLoadError(
            encoder.reference, f"it gave vectors of shape {found.shape}, expected {(len(passages), dimensions)}"
        )
    if not np.isfinite(found).all():
        raise ModelLoadError(encoder.reference, "it gave vectors with NaN or infinity; check its weights")
    return found


def _token_vectors(encoder: TokenEncoder, passages: Sequence[str]) -> list[bytes]:
    found = encoder.encode_documents(passages)
    for one in found:
        if one.vectors.shape != (len(one.scale), encoder.dimensions):
            expected = (len(one.scale), encoder.dimensions)
            raise ModelLoadError(
                encoder.reference, f"it gave token vectors of shape {one.vectors.shape}, not {expected}"
            )
        if not np.isfinite(one.scale).all():
            raise ModelLoadError(encoder.reference, "it gave token vectors with NaN or infinity; check its weights")
    if len(found) != len(passages):
        raise ModelLoadError(encoder.reference, f"it gave token vectors for {len(found)} of {len(passages)} passages")
    return [to_bytes(one) for one in found]
