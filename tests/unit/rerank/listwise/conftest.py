"""A language model of two layers with random weights, and joint models over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.errors import ModelLoadError
from cascade.rerank.listwise.checkpoint import WEIGHTS, JointSettings
from cascade.rerank.listwise.joint_model import JointModel
from cascade.rerank.listwise.likelihood_model import LikelihoodModel


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
