"""Writes the language model of a joint model as a GGUF file, for a server that tells every token's hidden state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import ModelLoadError
from cascade.inference.device import hide_loading_bars
from cascade.rerank.listwise.checkpoint import JointSettings, load_network
from cascade.rerank.listwise.joint_text import MOST_TOKENS, text_of
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from torch import Tensor

_BYTES = 256
_LARGEST = 65504


def export_gguf(reference: str, out: Path) -> int:
    """Write the layers of the joint model `reference`, its adapters merged, to `out` in float16; its size in bytes.

    Its tokens are the characters of `text_of`; it has no head, and writes nothing. Raises ModelLoadError for a model
    that is not of Llama's architecture, or whose positions, vocabulary or weights such a file cannot hold.
    """
    import torch

    try:
        from gguf import GGUFWriter
    except ImportError as error:
        reason = 'a GGUF file is written with the package gguf; run pip install "cascade-ranking[embedded]"'
        raise ModelLoadError(reference, reason) from error
    hide_loading_bars()
    folder = Path(resolve_model(reference))
    settings = JointSettings.read(folder)
    stack: Any = load_network(folder, settings, resolve_model(settings.base), torch.float32).backbone
    if problem := _problem(stack):
        raise ModelLoadError(reference, problem)
    out.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(str(out), "llama")
    _write_shape(writer, stack.config)
    _write_vocabulary(writer, stack.config.vocab_size)
    _write_tensors(writer, stack)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out.stat().st_size


def _problem(stack: Any) -> str:
    """What such a file cannot hold of these layers, or nothing."""
    from cascade.rerank.listwise.llama import LlamaDecoder

    if not LlamaDecoder.runs(stack):
        return f"its layers are a {type(stack).__name__}, expected a LlamaModel; train over a base of that architecture"
    if (rope := stack.config.rope_parameters["rope_type"]) != "default":
        return f"its rotary positions are scaled ({rope}), expected the default; train over a base that has those"
    if (tokens := stack.config.vocab_size) > MOST_TOKENS:
        return f"its vocabulary has {tokens} tokens, expected {MOST_TOKENS} at most; train over a base with fewer"
    large = [name for name, weight in stack.state_dict().items() if weight.abs().max() > _LARGEST]
    if large:
        return f"{large[0]} has a number beyond {_LARGEST}, the largest of float16; train over another base"
    return ""


def _write_shape(writer: GGUFWriter, config: Any) -> None:
    from gguf import LlamaFileType, PoolingType

    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_pooling_type(PoolingType.NONE)


def _write_vocabulary(writer: GGUFWriter, tokens: int) -> None:
    """A character for each token, never joined; and bytes, without which plain text would end llama.cpp's process."""
    from gguf import TokenType

    writer.add_vocab_size(tokens + _BYTES)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*text_of(range(tokens)), *(f"<0x{byte:02X}>" for byte in range(_BYTES))])
    writer.add_token_scores([0.0] * (tokens + _BYTES))
    writer.add_token_types([TokenType.NORMAL] * tokens + [TokenType.BYTE] * _BYTES)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)


def _write_tensors(writer: GGUFWriter, stack: Any) -> None:
    import torch
    from gguf import MODEL_ARCH, get_tensor_name_map

    config = stack.config
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in stack.state_dict().items():
        if "q_proj" in name:
            weight = _in_pairs(weight, config.num_attention_heads)
        elif "k_proj" in name:
            weight = _in_pairs(weight, config.num_key_value_heads)
        elif name == "embed_tokens.weight":
            weight = torch.cat([weight, weight.new_zeros(_BYTES, weight.shape[1])])
        module, _, kind = name.rpartition(".")
        wanted = torch.float16 if weight.ndim == 2 else torch.float32
        writer.add_tensor(f"{names[f'model.{module}']}.{kind}", weight.to(wanted).numpy())


def _in_pairs(weight: Tensor, heads: int) -> Tensor:
    """Rows in the order of llama.cpp, which turns neighbours by a rotary angle where transformers turns halves."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)
