"""The embedded language model unpacks from its package and still speaks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from cascade.weights import resolve


@pytest.fixture(scope="module")
def folder() -> Path:
    """In the usual cache: unpacking takes a while, and every test that needs this model shares it."""
    return resolve("embedded:smollm2-135m-instruct")


def test_the_unpacked_model_knows_a_capital(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    answer = tokenizer.decode(output[0][inputs["input_ids"].shape[1] :])
    assert "Paris" in answer


def test_it_is_unpacked_once(folder: Path) -> None:
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert resolve("embedded:smollm2-135m-instruct") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
