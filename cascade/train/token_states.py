"""A frozen transformer reads every text once: its token states are kept, in memory and on disk, for later passes."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers.base.modules import Transformer

States = npt.NDArray[np.float16]

_PER_FILE = 1024  # texts; what a run that is stopped has to read again


class TokenStates:
    """Token states (tokens, size) by token ids, kept in the folder; those of another model need another folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._states: dict[bytes, States] = {}
        self._unsaved: dict[bytes, States] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as file:
                ends = np.cumsum(file["lengths"]).tolist()
                parts = np.split(file["states"], ends[:-1])
                self._states.update(zip((key.tobytes() for key in file["keys"]), parts, strict=True))

    def __getitem__(self, ids: npt.NDArray[np.int64]) -> States | None:
        return self._states.get(_key(ids))

    def __setitem__(self, ids: npt.NDArray[np.int64], states: States) -> None:
        key = _key(ids)
        self._states[key] = self._unsaved[key] = states
        if len(self._unsaved) >= _PER_FILE:
            self.save()

    def save(self) -> None:
        """Write what is not on disk yet; a file is there whole or not at all."""
        if not self._unsaved:
            return
        work = self._folder / f"{uuid.uuid4().hex}.new"
        with work.open("wb") as file:
            np.savez(
                file,
                keys=np.frombuffer(b"".join(self._unsaved), dtype=np.uint8).reshape(len(self._unsaved), -1),
                lengths=np.array([len(states) for states in self._unsaved.values()]),
                states=np.concatenate(list(self._unsaved.values())),
            )
        work.rename(work.with_suffix(".npz"))
        self._unsaved = {}


class FrozenTransformer(Transformer):
    """A transformer that is not trained, and asks `memory` before it reads."""

    memory: TokenStates

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Adds `token_embeddings` (texts, tokens, size); no gradient reaches the model."""
        ids, mask = features["input_ids"], features["attention_mask"].bool()
        rows = [one[kept].numpy() for one, kept in zip(ids, mask, strict=True)]
        unread = [row for row, tokens in enumerate(rows) if self.memory[tokens] is None]
        if unread:
            longest = max(len(rows[row]) for row in unread)
            part = {name: value[unread][:, :longest] for name, value in features.items() if torch.is_tensor(value)}
            with torch.no_grad():
                states = super().forward({**features, **part}, **kwargs)["token_embeddings"]
            for row, found in zip(unread, states.float().numpy(), strict=True):
                self.memory[rows[row]] = found[: len(rows[row])].astype(np.float16)
        size = self.get_embedding_dimension()
        states = torch.zeros(*ids.shape, size)
        for row, tokens in enumerate(rows):
            kept = self.memory[tokens]
            assert kept is not None
            states[row, : len(kept)] = torch.from_numpy(kept.astype(np.float32))
        return {**features, "token_embeddings": states}


def _key(ids: npt.NDArray[np.int64]) -> bytes:
    return hashlib.blake2b(ids.tobytes(), digest_size=16).digest()
