"""Models are shared while any cascade names them, and let go when none does."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from cascade.budget import Budget
from cascade.build import Models, build_cascade
from cascade.config import parse
from cascade.inference.cross_encoder import CrossEncoderModel


def naming(model: Path | str, kind: str = "cross_encoder") -> str:
    return f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: {kind}, depth: 5, model: {model}}}]"


async def test_a_model_is_let_go_with_the_last_cascade_that_names_it(tiny_cross_encoder: Path) -> None:
    models = Models(device="cpu")
    config = parse(naming(tiny_cross_encoder), "c.yaml")
    first, second = build_cascade("a", config, models), build_cascade("b", config, models)
    await first.warm_up()
    model = models.get(CrossEncoderModel, str(tiny_cross_encoder))
    assert models.held_by(first) == models.held_by(second) == (model,)
    del first
    await models.release(unused_for=0.0)
    assert [status.model for status in models.status()] == [str(tiny_cross_encoder)]
    del second
    await models.release(unused_for=0.0)
    assert models.status() == []
    assert not model.queue.alive
    await models.aclose()


async def test_a_cascade_without_models_holds_none() -> None:
    models = Models()
    assert models.held_by(build_cascade("a", parse("retrieve: [{kind: bm25}]", "c.yaml"), models)) == ()


async def test_a_model_that_is_to_be_kept_is_kept(tiny_cross_encoder: Path) -> None:
    models = Models(device="cpu")
    reference = str(tiny_cross_encoder)
    kept = models.get(CrossEncoderModel, reference)
    await models.release(unused_for=0.0, keep={reference})
    assert models.get(CrossEncoderModel, reference) is kept
    await models.release(unused_for=0.0)
    assert models.get(CrossEncoderModel, reference) is not kept
    await models.aclose()


async def test_the_same_model_of_two_kinds_is_let_go_one_by_one(tiny_cross_encoder: Path) -> None:
    models = Models(device="cpu")
    cascades = [
        build_cascade(kind, parse(naming(tiny_cross_encoder, kind), "c.yaml"), models)
        for kind in ("likelihood", "setwise")
    ]
    assert sorted(status.kind for status in models.status()) == ["language_model", "likelihood"]
    cascades.pop()
    await models.release(unused_for=0.0)
    assert [status.kind for status in models.status()] == ["likelihood"]
    assert cascades
    await models.aclose()


async def test_a_model_that_is_at_work_is_kept_whoever_it_works_for(tiny_cross_encoder: Path) -> None:
    models = Models(device="cpu")
    reference = str(tiny_cross_encoder)
    model = models.get(CrossEncoderModel, reference)
    begun, go_on = threading.Event(), threading.Event()

    def long_write() -> str:
        begun.set()
        assert go_on.wait(10)
        return "written"

    write = asyncio.create_task(model.queue.run(long_write, budget=Budget()))
    assert await asyncio.to_thread(begun.wait, 10)
    try:
        async with asyncio.timeout(5):
            await models.release(unused_for=0.0)
        assert models.get(CrossEncoderModel, reference) is model
    finally:
        go_on.set()
    assert (await write)[0] == "written"
    assert model.queue.alive
    await models.aclose()
