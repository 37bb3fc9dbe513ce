"""The language models that are shipped put the answer first where it is clear."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cascade.inference.scored import Scored
from cascade.rerank.listwise.joint_model import JointModel
from cascade.rerank.listwise.likelihood_model import LikelihoodModel

EXAMPLES = {
    "what is the capital of france": "France\nParis is the capital and largest city of France.",
    "who wrote the play hamlet": "Hamlet\nHamlet is a tragedy written by William Shakespeare around 1600.",
    "at what temperature does water boil": "Boiling point\nAt sea level water boils at one hundred degrees Celsius.",
    "how many legs does a spider have": "Spider\nSpiders are arthropods with eight legs that breathe air.",
}


@pytest.fixture(scope="session", params=["joint", "likelihood"])
def score(request: pytest.FixtureRequest) -> Callable[[str, list[str]], Scored]:
    """Scores by an embedded model, loaded once."""
    if request.param == "joint":
        joint = JointModel("embedded:listwise", device="cpu")
        joint.ensure_loaded()
        return lambda query, texts: joint.score(query, texts, max_doc_tokens=64, max_block_tokens=1024)
    likelihood = LikelihoodModel("embedded:smollm2-135m-instruct", device="cpu")
    likelihood.ensure_loaded()
    return lambda query, texts: likelihood.score(query, texts, max_doc_tokens=64, max_batch_tokens=1024)


@pytest.mark.parametrize("query", EXAMPLES)
def test_the_answer_is_first_among_answers_to_other_questions(
    score: Callable[[str, list[str]], Scored], query: str
) -> None:
    texts = list(EXAMPLES.values())
    scores = score(query, texts).scores
    assert texts[scores.index(max(scores))] == EXAMPLES[query]
