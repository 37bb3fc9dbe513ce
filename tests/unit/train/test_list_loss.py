"""Losses over lists: what each wants, and that batching changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder

from cascade.train.list_loss import LossMix, MixedListLoss
from cascade.train.students import open_student

TEACHER = torch.tensor([3.0, 1.0, -2.0])
LABELS = torch.tensor([1.0, 0.0, 0.0])


@pytest.fixture
def model(tiny_bert: Path) -> CrossEncoder:
    torch.manual_seed(0)
    return open_student(str(tiny_bert), 32)


def test_a_student_that_scores_like_its_teacher_has_nothing_to_learn() -> None:
    mix = LossMix(label=0, kl=1, margin=1)
    assert mix.loss(TEACHER + 5, LABELS, TEACHER).item() == pytest.approx(0, abs=1e-6)
    assert mix.loss(-TEACHER, LABELS, TEACHER).item() > 1


def test_the_margin_loss_is_the_mean_over_all_pairs() -> None:
    scores = torch.tensor([0.5, 2.0, 1.0])
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    errors = [((scores[i] - scores[j]) - (TEACHER[i] - TEACHER[j])) ** 2 for i, j in pairs]
    found = LossMix(label=0, margin=1).loss(scores, LABELS, TEACHER)
    assert found.item() == pytest.approx(float(sum(errors)) / len(pairs), rel=1e-5)


def test_the_label_loss_is_the_cross_entropy_of_its_shares() -> None:
    shares = torch.tensor([3.0, 1.0, 0.0])
    found = LossMix().loss(TEACHER, shares, TEACHER)
    expected = torch.nn.functional.cross_entropy(TEACHER, shares / 4)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_labels_that_say_nothing_cost_nothing() -> None:
    assert LossMix().loss(TEACHER, torch.zeros(3), TEACHER).item() == 0


def test_the_loss_does_not_depend_on_how_pairs_are_batched(model: CrossEncoder) -> None:
    inputs = (["what is tea", "what is rain"], [["tea", "some facts about rain and more"], ["rain", "tea", "iron of"]])
    labels = [torch.tensor([[1.0, 0.0], [2.0, 1.0]]), torch.tensor([[0.2, 0.3, 0.5], [0.0, 1.0, 2.0]])]
    mix = LossMix(label=1, kl=1, margin=1)
    apart = MixedListLoss(model, mix, pairs_per_pass=1)(inputs, labels)
    together = MixedListLoss(model, mix, pairs_per_pass=16)(inputs, labels)
    assert apart.item() == pytest.approx(together.item(), rel=1e-4)


def test_a_few_steps_on_one_batch_lower_the_loss(model: CrossEncoder) -> None:
    inputs = (["what is tea"], [["tea facts", "rain facts"]])
    labels = [torch.tensor([[0.0, 1.0], [0.0, 4.0]])]
    loss = MixedListLoss(model, LossMix(kl=1, margin=0.1))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    first = loss(inputs, labels)
    for _ in range(5):
        optimizer.zero_grad()
        loss(inputs, labels).backward()
        optimizer.step()
    assert loss(inputs, labels).item() < first.item()
