"""A language model of two layers with random weights, and joint models over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.errors import ModelLoadError
from cascade.rerank.listwise.checkpoint import WEIGHTS, JointSettings
from cascade.rerank.listwise.joint_model import JointModel
from cascade.rerank.listwise.likelihood_model import LikelihoodModel

TEXTS = [
    "Which passage answers the query? Passage: Query: Question: what is the capital of france",
    "Paris is the capital and largest city of France.",
    "Add two eggs to the flour and stir until the dough is smooth.",
    "Water boils at one hundred degrees Celsius at sea level.",
]
ADDED = ["<|im_start|>", "<|im_end|>", "<file_sep>", "<gh_stars>", "<repo_name>"]


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a causal language model with random weights, and a byte-level tokenizer made for it."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-lm")
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(TEXTS, vocab_size=400, show_progress=False, special_tokens=ADDED)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, eos_token="<|im_end|>")
    fast.save_pretrained(folder)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_joint(folder: Path, base: Path, seed: int) -> Path:
    """A joint model over `base` with random adapters on its last layer and a random projector."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    shapes = {
        "layers.1.mlp.up_proj.down": (2, 32),
        "layers.1.mlp.up_proj.up": (64, 2),
        "projector.enter.weight": (16, 32),
        "projector.enter.bias": (16,),
        "projector.leave.weight": (8, 16),
        "projector.leave.bias": (8,),
    }
    save_file({name: torch.randn(shape) for name, shape in shapes.items()}, str(folder / WEIGHTS))
    JointSettings(
        base=str(base),
        prompt="joint-v1",
        passage_marker="<file_sep>",
        query_marker="<gh_stars>",
        layers=None,
        scale=0.1,
        inner_size=16,
        out_size=8,
        max_block_passages=4,
    ).write(folder)
    return folder


@pytest.fixture(scope="session")
def joint_folders(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of joint models with random weights, the first that passes its self-test and the first that does not."""
    passed: Path | None = None
    refused: Path | None = None
    seed = 0
    while passed is None or refused is None:
        seed += 1
        folder = write_joint(tmp_path_factory.mktemp(f"joint-{seed}"), tiny_lm, seed)
        try:
            JointModel(str(folder), device="cpu").ensure_loaded()
            passed = passed or folder
        except ModelLoadError:
            refused = refused or folder
    return passed, refused


@pytest.fixture(scope="session")
def tiny_joint(joint_folders: tuple[Path, Path]) -> JointModel:
    """A loaded joint model."""
    model = JointModel(str(joint_folders[0]), device="cpu")
    model.ensure_loaded()
    return model


@pytest.fixture(scope="session")
def likelihood_folder(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of causal models with random weights, the first that passes the likelihood self-test."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for seed in range(100):
        folder = tmp_path_factory.mktemp(f"likelihood-{seed}")
        torch.manual_seed(seed)
        config = AutoModelForCausalLM.from_pretrained(tiny_lm).config
        AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(folder)
        try:
            LikelihoodModel(str(folder), device="cpu").ensure_loaded()
        except ModelLoadError:
            continue
        return folder
    raise AssertionError("no random model passed")
