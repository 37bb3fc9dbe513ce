"""A store in an empty folder, and small ways to fill and ask an index."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cascade.index import Index, IndexStore
from cascade.testing import HashedWords
from cascade.types import Document


@pytest.fixture
def encoder() -> HashedWords:
    return HashedWords()


@pytest.fixture
def open_store(tmp_path: Path, encoder: HashedWords) -> Callable[[], IndexStore]:
    """Opens the same folder anew each time, as another process would."""
    return lambda: IndexStore(tmp_path / "indexes", lambda reference: encoder)


@pytest.fixture
def store(open_store: Callable[[], IndexStore]) -> IndexStore:
    return open_store()


@pytest.fixture
def index(store: IndexStore) -> Index:
    """An empty index called notes."""
    store.create("notes", "hashed-words")
    return store.open("notes")


@pytest.fixture
def notes() -> list[Document]:
    return [
        Document("boil", "Water boils at one hundred degrees.", "Boiling", {"year": 1999, "kind": "physics"}),
        Document("freeze", "Water freezes at zero degrees.", "Freezing", {"year": 2005, "kind": "physics"}),
        Document("bread", "Flour, water, salt and yeast make bread.", metadata={"year": 2011, "kind": "kitchen"}),
        Document("moon", "The moon circles the earth.", metadata={"kind": "sky", "far": True}),
    ]
