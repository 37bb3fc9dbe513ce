"""Documents, and what is searched: written to a versioned table, read through immutable snapshots."""

from cascade.index.index import Index
from cascade.index.info import Change, DocumentEncoder, IndexInfo, TokenEncoder, no_token_encoder
from cascade.index.snapshot import Snapshot
from cascade.index.store import IndexStore

__all__ = [
    "Change",
    "DocumentEncoder",
    "Index",
    "IndexInfo",
    "IndexStore",
    "Snapshot",
    "TokenEncoder",
    "no_token_encoder",
]
