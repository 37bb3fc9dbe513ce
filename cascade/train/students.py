"""Makes the student of a distillation: some layers of a pair encoder, or of a bi-encoder grafted into one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.errors import InvalidInputError, Violation
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

    from cascade.inference.pair_encoder import PairEncoder

PAIR_ENCODER = "pair_encoder.json"


def is_pair_encoder(reference: str) -> bool:
    """Whether `reference` names a model of this project's own architecture."""
    return (Path(resolve_model(reference)) / PAIR_ENCODER).is_file()


def open_student(reference: str, max_length: int, layers: int | Sequence[int] | None = None) -> CrossEncoder:
    """A pair encoder with `layers` of the layers of the model `reference`, ready to be trained.

    `reference` is a pair encoder, or a BERT bi-encoder, which is grafted. `layers` are the numbers of those to keep,
    from 0, or how many: they are then taken at even distances, the last among them. Word embeddings are frozen.
    """
    from cascade.inference.pair_encoder import PairEncoder, as_cross_encoder

    folder = resolve_model(reference)
    module: PairEncoder = PairEncoder.load(folder) if is_pair_encoder(reference) else PairEncoder.graft(folder)
    module.max_seq_length = max_length
    if layers is not None:
        module = module.kept(which(reference, len(module.bert.encoder.layer), layers))
    module.bert.embeddings.requires_grad_(False)
    return as_cross_encoder(module)


def which(reference: str, present: int, layers: int | Sequence[int]) -> list[int]:
    """The numbers of the layers to keep of `present`; raises InvalidInputError where there are not so many."""
    wanted = even_layers(present, layers) if isinstance(layers, int) else list(layers)
    if not wanted or len(wanted) > present or not all(0 <= layer < present for layer in wanted):
        message = f"cannot keep the layers {wanted} of {reference}, which has {present}, numbered from 0"
        raise InvalidInputError([Violation("layers", message)])
    return wanted


def even_layers(present: int, kept: int) -> list[int]:
    """The numbers of `kept` of `present` layers at even distances, the last among them."""
    return [round((place + 1) * present / kept) - 1 for place in range(kept)] if kept <= present else list(range(kept))
