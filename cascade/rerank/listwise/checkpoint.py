"""The folder of a joint model: `joint.json` says how to read, `joint.safetensors` holds what was learned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import ModelLoadError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from cascade.rerank.listwise.network import JointNetwork, Projector

SETTINGS = "joint.json"
WEIGHTS = "joint.safetensors"
DOWN, UP = ".down", ".up"


@dataclass(frozen=True, slots=True)
class JointSettings:
    """What a joint model was trained with and must be run with.

    `base` is a model reference; `layers` how many of its layers are used (None: all). An adapter adds
    `scale` x up @ down to a linear map of the base (LoRA, Hu et al., 2021).
    """

    base: str
    prompt: str
    passage_marker: str
    query_marker: str
    layers: int | None
    scale: float
    inner_size: int
    out_size: int
    max_block_passages: int = 32

    @staticmethod
    def read(folder: Path) -> JointSettings:
        """Raises ModelLoadError when the folder does not hold a joint model."""
        path = folder / SETTINGS
        try:
            found: Any = json.loads(path.read_text(encoding="utf-8"))
            return JointSettings(**found)
        except FileNotFoundError:
            reason = (
                f"it has no {SETTINGS}; expected the folder of a joint model, as `cascade train listwise` writes it"
            )
        except (TypeError, ValueError) as error:
            wanted = ", ".join(field.name for field in fields(JointSettings))
            reason = f"{SETTINGS} cannot be read ({error}); expected a JSON object with {wanted}"
        raise ModelLoadError(str(folder), reason)

    def write(self, folder: Path) -> None:
        """Write `joint.json`."""
        (folder / SETTINGS).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def load_network(folder: Path, settings: JointSettings, source: str, dtype: torch.dtype) -> JointNetwork:
    """The network of `folder` over the base at `source`, the adapters merged into the base's weights."""
    from safetensors.torch import load_file

    from cascade.rerank.listwise.decoder import ATTENTION
    from cascade.rerank.listwise.network import JointNetwork, load_backbone

    learned = load_file(str(folder / WEIGHTS))
    backbone = load_backbone(source, layers=settings.layers, dtype=dtype, attention=ATTENTION)
    for name in (n.removesuffix(DOWN) for n in learned if n.endswith(DOWN)):
        weight = backbone.get_submodule(name).weight.data
        change = settings.scale * (learned[name + UP].float() @ learned[name + DOWN].float())
        weight.copy_(weight.float() + change)
    return JointNetwork(backbone, _projector(learned, settings, backbone.config.hidden_size)).eval()


def load_projector(folder: Path, settings: JointSettings, hidden_size: int) -> Projector:
    """The projector of `folder`, for states of `hidden_size`."""
    from safetensors.torch import load_file

    return _projector(load_file(str(folder / WEIGHTS)), settings, hidden_size)


def _projector(learned: Mapping[str, Tensor], settings: JointSettings, hidden_size: int) -> Projector:
    from cascade.rerank.listwise.network import Projector

    projector, prefix = Projector(hidden_size, settings.inner_size, settings.out_size), "projector."
    projector.load_state_dict({n.removeprefix(prefix): w.float() for n, w in learned.items() if n.startswith(prefix)})
    return projector.eval()


def save_network(network: JointNetwork, settings: JointSettings, folder: Path) -> None:
    """Write what was learned, in bfloat16; `network.backbone` is a peft model with one adapter."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    learned = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            short = name.removeprefix("backbone.base_model.model.")
            short = short.replace(".lora_A.default.weight", DOWN).replace(".lora_B.default.weight", UP)
            learned[short] = parameter.detach().to(torch.bfloat16).contiguous()
    save_file(learned, str(folder / WEIGHTS))
    settings.write(folder)
