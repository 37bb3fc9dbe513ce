"""Hands training data to a sentence-transformers trainer in the order in which it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentence_transformers.base.sampler import DefaultBatchSampler
from torch.utils.data import SequentialSampler

if TYPE_CHECKING:
    from datasets import Dataset


def in_given_order(dataset: Dataset, **options: Any) -> DefaultBatchSampler:
    """A batch sampler that does not shuffle: the easy lists come first, and the lists are shuffled already."""
    return DefaultBatchSampler(SequentialSampler(dataset), **options)
