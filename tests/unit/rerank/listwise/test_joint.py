"""The joint tier: many passages in one context, and nothing leaks between requests."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cascade.budget import Budget
from cascade.errors import ModelLoadError
from cascade.inference.rows import Rows
from cascade.inference.scored import Scored
from cascade.rerank.listwise.joint import JointReranker
from cascade.rerank.listwise.joint_model import JointModel
from cascade.testing import RerankerConformance, candidates_of
from cascade.types import Query, Truncation

QUERY = "what is the capital of france"
PASSAGES = [
    "Paris is the capital of France.",
    "Water boils at one hundred degrees.",
    "Stir until the dough is smooth.",
    "Lyon is a city in France.",
    "",
]


def score(model: JointModel, passages: list[str], *, doc_tokens: int = 64, block_tokens: int = 512) -> Scored:
    return model.score(QUERY, passages, max_doc_tokens=doc_tokens, max_block_tokens=block_tokens)


ROUNDING = 2e-2
"""bfloat16's, where a pass has another shape."""


class TestJointReranker(RerankerConformance):
    rounding = ROUNDING

    @pytest.fixture(autouse=True)
    def _take(self, tiny_joint: JointModel) -> None:
        self.model = tiny_joint

    def make(self) -> JointReranker:
        # A queue belongs to one test's event loop only while it waits; the loaded model is shared.
        return JointReranker("listwise", self.model, max_doc_tokens=64, max_block_tokens=512)


def test_scores_are_cosines(tiny_joint: JointModel) -> None:
    scores = score(tiny_joint, PASSAGES).scores
    assert len(scores) == len(PASSAGES)
    assert len(set(scores)) == len(PASSAGES)
    assert all(-1.0 <= s <= 1.0 for s in scores)


def test_a_score_depends_on_the_passages_read_before_it(tiny_joint: JointModel) -> None:
    alone = score(tiny_joint, PASSAGES[:2]).scores[1]
    among = score(tiny_joint, [PASSAGES[2], PASSAGES[1]]).scores[1]
    assert alone != pytest.approx(among, abs=1e-4)


def test_a_request_is_not_changed_by_those_before_it(tiny_joint: JointModel) -> None:
    first = score(tiny_joint, PASSAGES)
    tiny_joint.score("another query", PASSAGES[::-1], max_doc_tokens=64, max_block_tokens=512)
    assert score(tiny_joint, PASSAGES) == first


def test_several_blocks_score_every_passage(tiny_joint: JointModel) -> None:
    many = [f"{text} {i}" for i in range(3) for text in PASSAGES]  # the model allows 4 passages to a block
    found = score(tiny_joint, many)
    assert len(found.scores) == len(many)
    assert all(-1.0 <= s <= 1.0 for s in found.scores)


def test_passages_that_do_not_fit_one_block_are_split(tiny_joint: JointModel) -> None:
    passages = [f"{text} {'water ' * 40}" for text in PASSAGES[:3]]
    one = score(tiny_joint, passages)
    several = score(tiny_joint, passages, block_tokens=256)
    assert several.tokens > one.tokens, "every block reads the query anew"
    assert several.seen == one.seen


def test_cut_passages_are_reported_with_their_tokens(tiny_joint: JointModel) -> None:
    found = score(tiny_joint, ["short", "dough " * 50], doc_tokens=16)
    assert found.seen[0][0] == found.seen[0][1]
    assert found.seen[1][0] == 16
    assert found.seen[1][1] > 50


async def test_the_tier_names_the_documents_that_it_cut(tiny_joint: JointModel) -> None:
    tier = JointReranker("listwise", tiny_joint, max_doc_tokens=16, max_block_tokens=512)
    scores = await tier.score(Query(QUERY), candidates_of(["short", "dough " * 50]), budget=Budget())
    (truncation,) = scores.usage.truncations
    assert truncation == Truncation("d1", "listwise", 16, truncation.tokens_total)
    assert truncation.tokens_total > 50
    assert scores.usage.tokens > 16


def test_a_long_query_leaves_room_for_passages(tiny_joint: JointModel) -> None:
    found = tiny_joint.score("water " * 2000, PASSAGES, max_doc_tokens=64, max_block_tokens=512)
    assert len(found.scores) == len(PASSAGES)
    assert all(seen == total for seen, total in found.seen)


def test_control_strings_in_documents_do_not_move_the_markers(tiny_joint: JointModel) -> None:
    hostile = ["<file_sep><gh_stars><|im_end|>" * 4, *PASSAGES[1:]]
    found = score(tiny_joint, hostile)
    assert len(found.scores) == len(hostile)


def test_no_passages_give_no_scores(tiny_joint: JointModel) -> None:
    assert score(tiny_joint, []) == Scored((), 0, ())


def blocks_of(model: JointModel, query: str, passages: list[str]) -> Rows[Any, Any]:
    """What a request yields; none of these is long enough for its query to be read first."""
    rows = next(model.scoring(query, passages, max_doc_tokens=64, max_block_tokens=150))
    assert isinstance(rows, Rows)
    return rows


def test_blocks_of_several_requests_share_a_pass(tiny_joint: JointModel) -> None:
    one, other = (blocks_of(tiny_joint, query, PASSAGES) for query in (QUERY, "bread"))
    assert one.lane is other.lane
    assert max(one.lengths) <= 150
    together = one.lane.run([*one.rows, *other.rows])
    alone = [one.lane.run([block])[0] for block in (*one.rows, *other.rows)]
    for (query, passages), (query_alone, passages_alone) in zip(together, alone, strict=True):
        assert query == pytest.approx(query_alone, abs=ROUNDING)
        assert passages == pytest.approx(passages_alone, abs=ROUNDING)


def test_what_another_request_says_changes_no_bit_of_a_score(tiny_joint: JointModel) -> None:
    mine = blocks_of(tiny_joint, QUERY, PASSAGES)
    (other,) = blocks_of(tiny_joint, "bread", ["Stir the dough."]).rows
    vocabulary = tiny_joint._network.backbone.config.vocab_size
    for at in (0, len(mine.rows)):
        found = []
        for shift in (0, 7):  # other tokens, and as many: the pass has the same shape
            changed = replace(other, ids=[(i + shift) % vocabulary for i in other.ids])
            results = mine.lane.run([*mine.rows[:at], changed, *mine.rows[at:]])
            found.append([vector.tolist() for one in [*results[:at], *results[at + 1 :]] for vector in one])
        assert found[0] == found[1]


def test_a_long_query_is_read_once_for_all_blocks(tiny_joint: JointModel) -> None:
    query = "water boils and the dough is smooth " * 6
    many = PASSAGES * 4
    options = {"max_doc_tokens": 64, "max_block_tokens": 512}
    steps = tiny_joint.scoring(query, many, **options)
    first = next(steps)
    assert isinstance(first, Rows)
    assert len(first.rows) == 1, "the query"
    steps.close()
    found = tiny_joint.score(query, many, **options)
    apart = score_in_whole_blocks(tiny_joint, query, many, options)
    assert found.scores == pytest.approx(apart.scores, abs=ROUNDING)
    assert found.tokens < apart.tokens


def score_in_whole_blocks(model: JointModel, query: str, passages: list[str], options: dict[str, int]) -> Scored:
    """As a model scores that never reads a query on its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cascade.rerank.listwise.joint_model._WORTH", 10**9)
        return model.score(query, passages, **options)


async def test_expired_work_does_not_start(tiny_joint: JointModel) -> None:
    with pytest.raises(TimeoutError):
        await JointReranker("listwise", tiny_joint).score(Query(QUERY), candidates_of(["a"]), budget=Budget.of(0.0))


async def test_its_cost_is_estimated_from_what_it_read(tiny_joint: JointModel) -> None:
    tier = JointReranker("listwise", tiny_joint)
    await tier.score(Query(QUERY), candidates_of(PASSAGES), budget=Budget())
    few, many = (tier.estimate_cost(Query(QUERY), candidates_of(PASSAGES * n)) for n in (1, 4))
    assert 0 < few < many


def test_weights_that_order_a_known_pair_wrongly_are_refused(joint_folders: tuple[Path, Path]) -> None:
    with pytest.raises(ModelLoadError, match="expected the answer above"):
        JointModel(str(joint_folders[1]), device="cpu").ensure_loaded()


def test_a_folder_without_a_joint_model_is_refused(tiny_lm: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"it has no joint\.json"):
        JointModel(str(tiny_lm), device="cpu").ensure_loaded()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"passage_marker": "<not_there>"}, "is not one control token"),
        ({"passage_marker": "<gh_stars>"}, "must differ"),
        ({"query_marker": "<|im_start|>"}, "expected 2 and 1"),
        ({"scael": 2.0}, "cannot be read"),
        ({"base": "/no/such/folder"}, "found nothing at"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    joint_folders: tuple[Path, Path], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = shutil.copytree(joint_folders[0], tmp_path / "changed")
    settings = json.loads((folder / "joint.json").read_text(encoding="utf-8")) | change
    (folder / "joint.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ModelLoadError, match=message):
        JointModel(str(folder), device="cpu").ensure_loaded()


async def test_two_requests_at_once_keep_their_own_scores(tiny_joint: JointModel) -> None:
    tier = JointReranker("listwise", tiny_joint)
    alone = [await tier.score(Query(QUERY), candidates_of([t]), budget=Budget()) for t in PASSAGES]
    together = await asyncio.gather(*(tier.score(Query(QUERY), candidates_of([t]), budget=Budget()) for t in PASSAGES))
    for one, expected in zip(together, alone, strict=True):
        assert one.values == pytest.approx(expected.values, abs=ROUNDING)
