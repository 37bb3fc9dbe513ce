"""Models of two layers with random weights, loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.errors import ModelLoadError
from cascade.rerank.listwise.joint_model import JointModel
from cascade.rerank.listwise.likelihood_model import LikelihoodModel


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
