"""The GGUF file of a joint model's layers: the same hidden states, and a character for each token."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader, TokenType
from transformers import (
    AutoModel,
    AutoTokenizer,
    GgufConfig,
    LlamaConfig,
    LlamaModel,
    PreTrainedModel,
    Qwen2Config,
    Qwen2Model,
)
from typer.testing import CliRunner

from cascade.cli.train import app
from cascade.errors import ModelLoadError
from cascade.rerank.listwise.checkpoint import JointSettings, load_network
from cascade.rerank.listwise.joint_gguf import export_gguf
from cascade.rerank.listwise.joint_text import text_of

SHAPE: dict[str, Any] = {
    "vocab_size": 405,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def over(base: PreTrainedModel, joint: Path, folder: Path) -> Path:
    """The joint model in `joint`, with another base."""
    base.save_pretrained(folder / "base")
    shutil.copytree(joint, folder / "joint")
    settings = json.loads((joint / "joint.json").read_text(encoding="utf-8"))
    AutoTokenizer.from_pretrained(settings["base"]).save_pretrained(folder / "base")
    changed = settings | {"base": str(folder / "base")}
    (folder / "joint" / "joint.json").write_text(json.dumps(changed), encoding="utf-8")
    return folder / "joint"


def read_both_ways(joint: Path, file: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of the network, and of the file as transformers reads it."""
    settings = JointSettings.read(joint)
    network = load_network(joint, settings, settings.base, torch.float32)
    source: dict[str, Any] = {"gguf_file": file.name, "quantization_config": GgufConfig(dequantize=True)}
    model = AutoModel.from_pretrained(file.parent, dtype=torch.float32, **source).eval()
    ids = torch.arange(40).unsqueeze(0)
    with torch.inference_mode():
        return network.backbone(input_ids=ids).last_hidden_state, model(input_ids=ids).last_hidden_state


def test_its_layers_give_the_network_s_hidden_states(joint_folders: tuple[Path, Path], tmp_path: Path) -> None:
    size = export_gguf(str(joint_folders[0]), tmp_path / "new" / "layers.gguf")
    assert size == (tmp_path / "new" / "layers.gguf").stat().st_size
    here, there = read_both_ways(joint_folders[0], tmp_path / "new" / "layers.gguf")
    assert torch.allclose(here, there, atol=1e-2)
    assert float(here.std()) > 0.5


def test_layers_that_the_model_leaves_out_are_not_in_it(joint_folders: tuple[Path, Path], tmp_path: Path) -> None:
    joint = over(LlamaModel(LlamaConfig(**SHAPE | {"num_hidden_layers": 3})), joint_folders[0], tmp_path)
    path = joint / "joint.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"layers": 2}), encoding="utf-8")
    export_gguf(str(joint), tmp_path / "layers.gguf")
    reader = GGUFReader(tmp_path / "layers.gguf")
    assert int(reader.fields["llama.block_count"].contents()) == 2
    assert not [tensor.name for tensor in reader.tensors if tensor.name.startswith(("blk.2", "output."))]


def test_its_vocabulary_is_a_character_for_each_token(joint_folders: tuple[Path, Path], tmp_path: Path) -> None:
    export_gguf(str(joint_folders[0]), tmp_path / "layers.gguf")
    fields = {name: field.contents() for name, field in GGUFReader(tmp_path / "layers.gguf").fields.items()}
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    count = AutoTokenizer.from_pretrained(JointSettings.read(joint_folders[0]).base).vocab_size
    assert "".join(tokens[:-256]) == text_of(range(len(tokens) - 256))
    assert len(tokens) - 256 >= count
    assert set(kinds[:-256]) == {TokenType.NORMAL}
    assert set(kinds[-256:]) == {TokenType.BYTE}
    assert tokens[-256:][10] == "<0x0A>"
    told = ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix")
    assert [fields[name] for name in (*told, "llama.pooling_type")] == [False, False, False, 0]


def test_the_command_writes_it_and_tells_its_size(joint_folders: tuple[Path, Path], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export-gguf", str(joint_folders[0]), "--out", str(tmp_path / "layers.gguf")])
    assert result.exit_code == 0
    assert result.output.endswith("layers.gguf: 0.1 MB\n")


@pytest.mark.parametrize(
    ("base", "found"),
    [
        (lambda: Qwen2Model(Qwen2Config(**SHAPE)), "its layers are a Qwen2Model, expected a LlamaModel"),
        (
            lambda: LlamaModel(
                LlamaConfig(**SHAPE, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4})
            ),
            r"its rotary positions are scaled \(linear\)",
        ),
        (lambda: LlamaModel(LlamaConfig(**SHAPE | {"vocab_size": 131_073})), "131073 tokens, expected 131072 at most"),
    ],
    ids=["architecture", "positions", "vocabulary"],
)
def test_a_model_that_such_a_file_cannot_hold_is_refused(
    joint_folders: tuple[Path, Path], tmp_path: Path, base: Any, found: str
) -> None:
    joint = over(base(), joint_folders[0], tmp_path)
    with pytest.raises(ModelLoadError, match=found):
        export_gguf(str(joint), tmp_path / "layers.gguf")
    assert not (tmp_path / "layers.gguf").exists()


def test_a_weight_too_large_for_the_file_s_numbers_is_refused(joint_folders: tuple[Path, Path], tmp_path: Path) -> None:
    base = LlamaModel(LlamaConfig(**SHAPE))
    base.layers[0].mlp.up_proj.weight.data[0, 0] = 1e5
    joint = over(base, joint_folders[0], tmp_path)
    with pytest.raises(ModelLoadError, match=r"layers\.0\.mlp\.up_proj\.weight has a number beyond 65504"):
        export_gguf(str(joint), tmp_path / "layers.gguf")
