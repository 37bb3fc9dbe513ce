"""A tiny encoder to convert, to time and to choose backends for, and a cache of each test's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cascade.inference.towers.backbone import Backbone, backbone_of
from cascade.inference.towers.strip import Strip, Tokens
from cascade.weights import resolver

VOCABULARY = 25


@pytest.fixture(scope="session")
def tiny_backbone(tiny_bert: Path) -> Backbone:
    """Two narrow layers with random weights."""
    from transformers import BertModel

    return backbone_of(BertModel.from_pretrained(tiny_bert))


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where conversions are kept that several tests need."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def converted_cache(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache that other tests left conversions in."""
    monkeypatch.setattr(resolver, "_cache_root", session_cache)
    return session_cache


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr(resolver, "_cache_root", tmp_path / "cache")
    return tmp_path / "cache"


def sequence(length: int, seed: int = 0) -> Tokens:
    """Some tokens of the tiny model, whatever they are."""
    return Tokens.single(np.random.default_rng([seed, length]).integers(1, VOCABULARY, size=length).tolist())


def strip(lengths: Sequence[int], seed: int = 0) -> Strip:
    """Sequences of these lengths."""
    return Strip.of([sequence(length, seed + row) for row, length in enumerate(lengths)])


def read(query: str, passage: str) -> Sequence[Tokens]:
    """A query and a passage as two sequences, a token for every word."""
    return [Tokens.single([1 + len(word) % (VOCABULARY - 1) for word in text.split()]) for text in (query, passage)]
