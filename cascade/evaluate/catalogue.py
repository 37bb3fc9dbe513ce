"""Reads a judged collection by its id in the catalogue of ir_datasets (MacAvaney et al., 2021), which fetches it."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from cascade.evaluate.collection import Collection, Needed, assemble
from cascade.evaluate.rows import invalid
from cascade.types import Document


def read(dataset_id: str, split: str, needed: Needed | None = None) -> Collection:
    """The collection `dataset_id`; where it has no judgments but `dataset_id/split` has, that one.

    With `needed`, documents are looked up by their ids, so that a large corpus is not read whole. Raises
    InvalidInputError for an id that is not in the catalogue or has no judgments, OSError for what cannot be fetched.
    """
    try:
        import ir_datasets
    except ImportError:
        message = "no such folder; to read it as an id of ir_datasets, run: pip install ir_datasets"
        raise invalid(dataset_id, message) from None
    found: dict[str, Any] = {}
    for name in (dataset_id, f"{dataset_id}/{split}"):
        try:
            found[name] = ir_datasets.load(name)
        except KeyError:
            continue
    if not found:
        raise invalid(dataset_id, "no such folder, and no such id in the catalogue of ir_datasets")
    judged = [name for name, dataset in found.items() if dataset.has_qrels()]
    if not judged:
        raise invalid(
            dataset_id, f"has no judgments in ir_datasets, and {dataset_id}/{split} has none; name one that has"
        )
    try:
        return _read(judged[0], found[judged[0]], needed)
    except (OSError, RuntimeError) as error:  # as its downloads end
        raise OSError(f"{judged[0]} cannot be fetched by ir_datasets: {error}") from error


def _read(name: str, dataset: Any, needed: Needed | None) -> Collection:
    judged: dict[str, dict[str, int]] = {}
    for qrel in dataset.qrels_iter():
        judged.setdefault(qrel.query_id, {})[qrel.doc_id] = int(qrel.relevance)

    def documents(wanted: Set[str] | None) -> Iterator[Document]:
        if wanted is None:
            yield from map(_document, dataset.docs_iter())
        else:
            yield from map(_document, dataset.docs_store().get_many_iter(sorted(wanted)))

    queries = {query.query_id: query.default_text() for query in dataset.queries_iter()}
    return assemble(name, "judged", documents, queries, judged, needed=needed, source=name)


def _document(found: Any) -> Document:
    """Title and text where the document has them by those names, all its text where it has not."""
    title = getattr(found, "title", "") or ""
    text = getattr(found, "text", None)
    if text is None:
        return Document(found.doc_id, found.default_text())
    return Document(found.doc_id, text, title.strip())
