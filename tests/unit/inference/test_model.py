"""Models are loaded one at a time, and one that cannot be says so to everybody who asks and keeps nothing of them."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable

import pytest

from cascade.errors import ModelLoadError
from cascade.inference.model import ServedModel
from cascade.rerank.listwise.endpoint import Endpoint
from cascade.rerank.listwise.language_model import LanguageModel


class Broken(ServedModel):
    """Cannot be loaded."""

    kind = "broken"

    def _load(self) -> None:
        raise OSError("no such file")


def by_loading() -> Callable[[], None]:
    return Broken("broken").ensure_loaded


def by_a_self_test() -> Callable[[], None]:
    model = LanguageModel("broken")
    return lambda: model.ensure_passes("logits", lambda: "it put the wrong passage first")


def by_an_endpoint() -> Callable[[], None]:
    endpoint = Endpoint("http://127.0.0.1:9/v1", "small")

    async def wrong() -> str:
        return "it put the wrong passage first"

    return lambda: asyncio.run(endpoint.ensure_passes("logits", wrong))


@pytest.mark.parametrize("refusing", [by_loading, by_a_self_test, by_an_endpoint])
def test_a_remembered_problem_does_not_grow_with_those_who_are_told_it(
    refusing: Callable[[], Callable[[], None]],
) -> None:
    refuse, depths = refusing(), []
    for _ in range(4):
        with pytest.raises(ModelLoadError) as refused:
            refuse()
        depths.append(len(traceback.extract_tb(refused.value.__traceback__)))
    assert depths[1] == depths[2] == depths[3]


class Meeting(ServedModel):
    """Waits a moment for another that is being loaded, too."""

    kind = "meeting"

    def __init__(self, reference: str, place: threading.Barrier) -> None:
        super().__init__(reference)
        self.met = True
        self._place = place

    def _load(self) -> None:
        try:
            self._place.wait(0.1)
        except threading.BrokenBarrierError:
            self.met = False


def test_two_models_are_never_loaded_at_once() -> None:
    place = threading.Barrier(2)
    models = [Meeting(reference, place) for reference in ("one", "two")]
    threads = [threading.Thread(target=model.ensure_loaded) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [model.met for model in models] == [False, False]
