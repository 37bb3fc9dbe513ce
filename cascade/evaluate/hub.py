"""Reads a judged collection from the Hugging Face hub, in the layout that BEIR's collections have there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from cascade.evaluate.collection import Collection, Needed, assemble
from cascade.evaluate.rows import invalid
from cascade.types import Document


def read(dataset_id: str, split: str, needed: Needed | None = None) -> Collection:
    """The configurations `corpus` and `queries` of a data set, and judgments from `ID-qrels` or the `default` one.

    Raises InvalidInputError for a data set that has another layout or lacks the split, OSError for one that cannot be
    fetched.
    """
    try:
        import datasets
    except ImportError:
        raise invalid(f"hub:{dataset_id}", "is read with the library datasets; run: pip install datasets") from None
    try:
        judged: dict[str, dict[str, int]] = {}
        for row in _judgments(datasets, dataset_id, split):
            query_id, doc_id = _text(dataset_id, row, "query-id"), _text(dataset_id, row, "corpus-id")
            judged.setdefault(query_id, {})[doc_id] = int(row["score"])

        def documents(wanted: Set[str] | None) -> Iterator[Document]:
            for row in _only_split(datasets.load_dataset(dataset_id, "corpus")):
                doc_id = _text(dataset_id, row, "_id")
                if wanted is None or doc_id in wanted:
                    yield Document(doc_id, _text(dataset_id, row, "text"), (row.get("title") or "").strip())

        rows = _only_split(datasets.load_dataset(dataset_id, "queries"))
        queries = {_text(dataset_id, row, "_id"): _text(dataset_id, row, "text") for row in rows}
        source = f"hub:{dataset_id}"
        return assemble(dataset_id.rsplit("/", 1)[-1], split, documents, queries, judged, needed=needed, source=source)
    except ValueError as error:  # as the library says that there is no such configuration, or no such split
        raise invalid(f"hub:{dataset_id}", str(error)) from error
    except OSError as error:
        raise OSError(
            f"hub:{dataset_id} cannot be fetched: {error}; this needs a network, or a copy in the library's cache"
        ) from error


def _judgments(datasets: Any, dataset_id: str, split: str) -> Any:
    """BEIR keeps judgments in a data set of their own, later collections in the configuration `default`."""
    try:
        return datasets.load_dataset(f"{dataset_id}-qrels", split=split)
    except FileNotFoundError:  # and so is the library's own error for a data set that is not there
        return datasets.load_dataset(dataset_id, "default", split=split)


def _only_split(splits: Mapping[str, Any]) -> Any:
    """The rows of a configuration, whose one split BEIR calls as the configuration."""
    return next(iter(splits.values()))


def _text(dataset_id: str, row: Mapping[str, Any], key: str) -> str:
    if key not in row:
        raise invalid(f"hub:{dataset_id}", f"found the columns {', '.join(row)}, expected one called {key!r}")
    return str(row[key])
