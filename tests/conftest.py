"""Models that many tests share, made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long anything takes depends on what else the machine does, and is no test's business.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# Tests run on shared machines, and many of them at once: one thread each, set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def tiny_cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a two-layer cross-encoder with random weights and all-MiniLM's tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from cascade.weights import resolve_model

    folder = tmp_path_factory.mktemp("tiny-cross-encoder")
    torch.manual_seed(1)
    config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(resolve_model("embedded:all-minilm-l6-v2")).save_pretrained(folder)
    return folder


_BERT_WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] what is made of the about some facts and more "
    "tea rain iron wheat glass salt wool coal silk corn lead milk"
)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a BERT of two narrow layers with random weights, whose tokens are whole words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-bert")
    vocabulary = _BERT_WORDS.split()
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(vocabulary), **shape)).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_multi_vector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a two-layer multi-vector model with random weights and all-MiniLM's tokenizer."""
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from transformers import AutoTokenizer, BertConfig, BertModel

    from cascade.weights import resolve_model

    base, folder = tmp_path_factory.mktemp("tiny-bert"), tmp_path_factory.mktemp("tiny-multi-vector")
    torch.manual_seed(1)
    BertModel(
        BertConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=128,
            initializer_range=0.2,
        )
    ).save_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(resolve_model("embedded:all-minilm-l6-v2"), model_max_length=128)
    tokenizer.save_pretrained(base)
    parts = [
        Transformer(str(base), document_length=64),
        Dense(32, 16, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings"),
        MultiVectorMask(),
        Normalize(module_input_name="token_embeddings"),
    ]
    MultiVectorEncoder(modules=parts, device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


_TEXTS = [
    "Which passage answers the query? Passage: Query: Question: what is the capital of france",
    "Paris is the capital and largest city of France.",
    "Add two eggs to the flour and stir until the dough is smooth.",
    "Water boils at one hundred degrees Celsius at sea level.",
]
_ADDED = ["<|im_start|>", "<|im_end|>", "<file_sep>", "<gh_stars>", "<repo_name>"]


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a causal language model with random weights, and a byte-level tokenizer made for it."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-lm")
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(_TEXTS, vocab_size=400, show_progress=False, special_tokens=_ADDED)
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

    from cascade.rerank.listwise.checkpoint import WEIGHTS, JointSettings

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
    from cascade.errors import ModelLoadError
    from cascade.rerank.listwise.joint_model import JointModel

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
