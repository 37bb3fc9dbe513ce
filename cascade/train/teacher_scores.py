"""What teachers say of documents: scored by a model and kept on disk, or read from a file of scores."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from cascade.errors import InvalidInputError, Violation
from cascade.weights import resolve_model
from cascade.weights.cache import fingerprint

_WEIGHTS = "*.safetensors"
_BATCH_TOKENS = 2048
_FILES = (".jsonl", ".trec", ".run", ".txt")
_SCALE = 20.0
"""Of cosines: the pair encoder's."""

Score = Callable[[str, Sequence[str]], Sequence[float]]
"""A question and passages to one score each."""


class Teacher(Protocol):
    """Scores documents for a question, on a scale of its own."""

    def scores(self, query_id: str, query: str, documents: Mapping[str, str]) -> list[float]:
        """One score for each of `documents` (passages by id), in order."""
        ...


class ScoreFile:
    """The scores of a cascade, a language model or anything else, that were written to a file.

    A TREC run, or JSON lines of query_id, doc_id and score. A question or document that it lacks cannot be asked for.
    """

    def __init__(self, path: Path) -> None:
        self.by_query = read_scores(path)

    def scores(self, query_id: str, query: str, documents: Mapping[str, str]) -> list[float]:
        """Those that stand in the file."""
        return [self.by_query[query_id][doc_id] for doc_id in documents]


class ModelTeacher:
    """A model whose scores are appended to a file of one collection, so that no pair is scored twice."""

    def __init__(self, reference: str, cache: Path, collection: str, *, max_length: int) -> None:
        self._path = cache / f"{model_slug(reference)}.{collection}.jsonl"
        self._reference = reference
        self._max_length = max_length
        _drop_half_line(self._path)
        self._known = read_scores(self._path) if self._path.is_file() else {}
        self._score: Score | None = None

    def scores(self, query_id: str, query: str, documents: Mapping[str, str]) -> list[float]:
        """A cross-encoder's own, or 20 times the cosines of a bi-encoder."""
        known = self._known.setdefault(query_id, {})
        missing = [doc_id for doc_id in documents if doc_id not in known]
        if missing:
            if self._score is None:
                scorer = _bi_encoder if is_bi_encoder(self._reference) else _cross_encoder
                self._score = scorer(self._reference, self._max_length)
            known.update(zip(missing, self._score(query, [documents[doc_id] for doc_id in missing]), strict=True))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                for doc_id in missing:
                    row = {"query_id": query_id, "doc_id": doc_id, "score": known[doc_id]}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return [known[doc_id] for doc_id in documents]


def is_bi_encoder(reference: str) -> bool:
    """Whether `reference`, a folder, an embedded name or a hub id, is a model that makes one vector of a text."""
    from sentence_transformers.util import load_file_path

    modules = load_file_path(resolve_model(reference), "modules.json")
    return modules is not None and "Pooling" in Path(modules).read_text(encoding="utf-8")


def _cross_encoder(reference: str, max_length: int) -> Score:
    from cascade.inference.cross_encoder import CrossEncoderModel

    model = CrossEncoderModel(reference, device="cpu")
    model.ensure_loaded()

    def score(query: str, passages: Sequence[str]) -> Sequence[float]:
        return model.score_pairs(query, passages, max_length=max_length, max_batch_tokens=_BATCH_TOKENS).scores

    return score


def _bi_encoder(reference: str, _max_length: int) -> Score:
    from cascade.inference.encoder import Encoder

    model = Encoder(reference, device="cpu")

    def score(query: str, passages: Sequence[str]) -> Sequence[float]:
        cosines = model.encode_documents(passages) @ model.encode_queries([query])[0]
        return [float(cosine) for cosine in _SCALE * cosines]

    return score


def is_score_file(reference: str) -> bool:
    """Whether `reference` is the path of a file, not a model. Raises InvalidInputError when it looks like one only."""
    path = Path(reference).expanduser()
    if not path.exists() and path.suffix in _FILES:
        raise InvalidInputError([Violation(reference, "does not exist, expected a file of scores: check the path")])
    return path.is_file()


def open_teacher(reference: str, cache: Path, collection: str, *, max_length: int) -> Teacher:
    """A file of scores where `reference` is one, or else the model that it names."""
    if is_score_file(reference):
        return ScoreFile(Path(reference).expanduser())
    return ModelTeacher(reference, cache, collection, max_length=max_length)


def read_scores(path: Path) -> dict[str, dict[str, float]]:
    """A TREC run or JSON lines as query id -> document id -> score; raises InvalidInputError naming the line."""
    is_json = path.suffix == ".jsonl"
    scores: dict[str, dict[str, float]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            if is_json:
                row = json.loads(line)
                query_id, doc_id, score = row["query_id"], row["doc_id"], float(row["score"])
            else:
                query_id, _, doc_id, _, value, _ = line.split()
                score = float(value)
        except (ValueError, KeyError, TypeError) as error:
            expected = "query_id, doc_id and score" if is_json else "the six columns of a TREC run"
            message = f"found {line[:80]!r}, expected {expected}"
            raise InvalidInputError([Violation(f"{path}:{number}", message)]) from error
        scores.setdefault(query_id, {})[doc_id] = score
    return scores


def model_slug(reference: str) -> str:
    """A file name for a model that changes when its weights do."""
    folder = Path(resolve_model(reference))
    weights = sorted(folder.glob(_WEIGHTS)) if folder.is_dir() else []
    version = fingerprint(weights) if weights else hashlib.sha256(reference.encode()).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9]+", "-", "/".join(Path(reference).parts[-2:])).strip("-")
    return f"{name}-{version}"


def ensemble(scores: Sequence[Sequence[float]], spread: float, weights: Sequence[float] = ()) -> list[float]:
    """The weighted mean of several teachers' z-scores of one list, times `spread`; a single teacher's as they are.

    Teachers have scales of their own: z-scores have one, and `spread` gives it back the width that losses expect. A
    teacher to whom all documents are equal adds nothing. Without `weights` all count the same.
    """
    import numpy as np

    if len(scores) == 1:
        return list(scores[0])
    values = np.asarray(scores, dtype=np.float64)
    deviations = values.std(axis=1, keepdims=True)
    z_scores = (values - values.mean(axis=1, keepdims=True)) / np.where(deviations == 0, 1.0, deviations)
    mean = np.average(z_scores, axis=0, weights=list(weights) or None)
    return [float(value) for value in spread * mean]


def _drop_half_line(path: Path) -> None:
    """Cuts off what a run that was stopped while it wrote has left at the end of its file."""
    if path.is_file():
        content = path.read_bytes()
        path.write_bytes(content[: content.rfind(b"\n") + 1])
