"""A cross-encoder grafted onto a bi-encoder: it starts out as good as the bi-encoder, and learns to read across."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import InputModule
from sentence_transformers.util import fullname, load_file_path
from torch import Tensor, nn

from cascade.errors import ModelLoadError
from cascade.inference.text_encoder import DOCUMENT_PROMPTS, QUERY_PROMPTS, prompt_of
from cascade.inference.truncation import shares

_CLOSED = -1e4
_START = -2.0  # of the gates: e^-2 of the weight across; closed, nDCG@10 is the bi-encoder's, open it falls by a third


class PairEncoder(InputModule):
    """A sentence-transformers module that scores pairs with a BERT bi-encoder's weights.

    Query and passage stand in one sequence, each with its own [CLS] ... [SEP] and with positions from 0, as the
    bi-encoder saw them, behind the prompts that it was trained with, if any. Attention between the two passes a gate:
    a learned bias for each layer and head is added to its logits. The score is `scale` times the cosine of the two
    mean-pooled segments, plus a linear head on the two [CLS] states that starts at 0. So an untrained pair encoder
    ranks like its bi-encoder, where a new classification head would have to learn everything that the bi-encoder
    knows already.
    """

    config_file_name = "pair_encoder.json"
    config_keys: list[str] = [  # noqa: RUF012  # declared so by the library
        "scale",
        "max_seq_length",
        "query_prompt",
        "passage_prompt",
    ]

    def __init__(
        self,
        bert: nn.Module,
        tokenizer: Any,
        *,
        scale: float = 20.0,
        max_seq_length: int = 256,
        query_prompt: str = "",
        passage_prompt: str = "",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the base class has no annotations
        self.bert = cast("Any", bert)
        self.tokenizer = tokenizer
        self.scale = scale
        self.max_seq_length = max_seq_length
        self.query_prompt, self.passage_prompt = query_prompt, passage_prompt
        # A space at the end of a prompt belongs to the text's first token.
        prompts = tokenizer([query_prompt.rstrip(), passage_prompt.rstrip()], add_special_tokens=False)["input_ids"]
        self.openings: tuple[list[int], ...] = tuple([int(tokenizer.cls_token_id), *ids] for ids in prompts)
        """Token ids that the query, and the passage, begin with."""
        config = self.bert.config
        self.gate = nn.Parameter(torch.full((config.num_hidden_layers, config.num_attention_heads), _START))
        self.head = nn.Linear(2 * config.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        """Padded tensors [pairs, length] of (query, passage) pairs; the longer of the two is cut first."""
        # The trainer counts the tokens of single texts for its model card.
        inputs = [(one, "") if isinstance(one, str) else one for one in inputs]
        ids = self._encode([text for pair in inputs for text in pair])
        room = self.max_seq_length - self.special_tokens
        rows = []
        for query, passage in inputs:
            asked, read = shares(len(ids[query]), len(ids[passage]), room)
            rows.append((ids[query][:asked], ids[passage][:read]))
        return self.collate(rows)

    def collate(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> dict[str, Any]:
        """The tensors of pairs of token ids without special tokens."""
        last = cast("Any", self.tokenizer).sep_token_id
        asking, reading = self.openings
        length = max(len(query) + len(passage) for query, passage in rows) + self.special_tokens
        fields = torch.zeros(3, len(rows), length, dtype=torch.long)
        fields[2] = -1  # padding belongs to no segment
        for row, (query, passage) in enumerate(rows):
            first, second = [*asking, *query, last], [*reading, *passage, last]
            asked, read = len(first), len(second)
            fields[0, row, : asked + read] = torch.tensor(first + second)
            fields[1, row, : asked + read] = torch.cat([torch.arange(asked), torch.arange(read)])
            fields[2, row, : asked + read] = torch.tensor([0] * asked + [1] * read)
        return {"input_ids": fields[0], "position_ids": fields[1], "segments": fields[2]}

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Adds `scores` [pairs, 1]: raw, higher is more relevant."""
        segments = features["segments"]
        states = self._hidden(features["input_ids"], features["position_ids"], segments).float()
        query, passage = (segments == 0).float(), (segments == 1).float()
        pooled = [torch.einsum("nl,nlh->nh", part, states) for part in (query, passage)]  # cosines need no division
        cosines = nn.functional.cosine_similarity(pooled[0], pooled[1])
        second = query.sum(dim=1).long()
        heads = torch.cat([states[:, 0], states[torch.arange(len(states)), second]], dim=1)
        with torch.autocast(states.device.type, enabled=False):
            scores = self.scale * cosines + self.head(heads).squeeze(1)
        return {**features, "scores": scores.unsqueeze(1)}

    def _hidden(self, ids: Tensor, positions: Tensor, segments: Tensor) -> Tensor:
        embeddings = self.bert.embeddings
        places = embeddings.position_embeddings(positions) + embeddings.token_type_embeddings.weight[0]
        states = embeddings.LayerNorm(embeddings.word_embeddings(ids) + places)
        count, length = ids.shape
        heads = self.gate.shape[1]
        device = states.device.type
        precise = states.dtype if not torch.is_autocast_enabled(device) else torch.get_autocast_dtype(device)
        closed = torch.where(segments[:, None, None, :] >= 0, 0.0, _CLOSED).to(precise)
        across = (segments[:, :, None] != segments[:, None, :])[:, None].to(precise)
        gates = self.gate.to(precise)[:, None, :, None, None]

        def split(tensor: Tensor) -> Tensor:
            return tensor.view(count, length, heads, -1).transpose(1, 2)

        for layer, gate in zip(self.bert.encoder.layer, gates, strict=True):
            attention = layer.attention.self
            query, key, value = (split(part(states)) for part in (attention.query, attention.key, attention.value))
            bias = torch.addcmul(closed, across, gate)
            read = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
            states = layer.attention.output(read.transpose(1, 2).reshape(count, length, -1), states)
            states = layer.output(layer.intermediate(states), states)
        return cast("Tensor", states)

    @property
    def special_tokens(self) -> int:
        """How many a pair has beside those of its texts."""
        return sum(map(len, self.openings)) + 2

    def _encode(self, texts: Sequence[str]) -> dict[str, list[int]]:
        unique = list(dict.fromkeys(texts))
        tokenizer = cast("Any", self.tokenizer)
        encoded = tokenizer(unique, add_special_tokens=False, truncation=False, verbose=False)
        return dict(zip(unique, encoded["input_ids"], strict=True))

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Writes weights, settings, the backbone's shape and the tokenizer into the folder."""
        self.save_config(output_path)
        self.bert.config.save_pretrained(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)
        self.save_tokenizer(output_path)

    @classmethod
    def load(cls, model_name_or_path: str, *_: Any, **__: Any) -> Self:
        """Reads what `save` wrote."""
        from safetensors.torch import load_file
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        folder = Path(model_name_or_path)
        config = AutoConfig.from_pretrained(folder)
        bert = cast("Any", AutoModel).from_config(config, add_pooling_layer=False)
        module = cls(bert, AutoTokenizer.from_pretrained(folder), **cls.load_config(str(folder)))
        module.load_state_dict(load_file(folder / "model.safetensors"))
        return module

    @classmethod
    def graft(cls, base: str, *, layers: Sequence[int] | None = None, max_seq_length: int = 256) -> Self:
        """An untrained pair encoder over a BERT bi-encoder with mean pooling, or over some of its layers.

        The prompts that the bi-encoder was trained with are put before its texts here too. Raises ModelLoadError for
        another architecture.
        """
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        architecture = AutoConfig.from_pretrained(base).model_type
        if architecture != "bert":
            raise ModelLoadError(base, f"found the architecture {architecture!r}, expected 'bert'; choose another base")
        bert: Any = AutoModel.from_pretrained(
            base,
            add_pooling_layer=False,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            dtype=torch.float32,
        )
        module = cls(bert, AutoTokenizer.from_pretrained(base), max_seq_length=max_seq_length, **_prompts(base))
        return module if layers is None else module.kept(layers)

    def kept(self, layers: Sequence[int]) -> Self:
        """The same model with these of its layers, from 0; a smaller student to be trained."""
        self.bert.encoder.layer = nn.ModuleList([self.bert.encoder.layer[i] for i in layers])
        self.bert.config.num_hidden_layers = len(layers)
        self.gate = nn.Parameter(self.gate.data[list(layers)].clone())
        return self


def _prompts(base: str) -> dict[str, Any]:
    """Those that the library would put before queries and documents of this bi-encoder."""
    config = load_file_path(base, "config_sentence_transformers.json")
    said = json.loads(Path(config).read_text(encoding="utf-8")) if config else {}
    kinds = {"query_prompt": QUERY_PROMPTS, "passage_prompt": DOCUMENT_PROMPTS}
    prompts, default = said.get("prompts") or {}, said.get("default_prompt_name")
    return {key: prompt_of(prompts, default, names) for key, names in kinds.items()}


def load_cross_encoder(folder: str, *, device: str = "cpu") -> CrossEncoder:
    """The model in a folder, or under a hub id: a pair encoder, or whatever else sentence-transformers knows."""
    modules = Path(folder) / "modules.json"
    if modules.is_file() and json.loads(modules.read_text(encoding="utf-8"))[0]["type"] == fullname(PairEncoder):
        # By name alone the library would ask for trust in the code of a folder, which brings none.
        return as_cross_encoder(PairEncoder.load(folder), device=device)
    model: CrossEncoder = CrossEncoder(folder, device=device)
    return model


def as_cross_encoder(module: PairEncoder, *, device: str = "cpu") -> CrossEncoder:
    """What the library trains, saves and predicts with; scores are left as they are."""
    model: CrossEncoder = CrossEncoder(modules=[module], activation_fn=nn.Identity(), device=device)
    return model


def special_tokens(model: CrossEncoder) -> int:
    """How many tokens a pair has beside those of its two texts."""
    first = model[0]
    if isinstance(first, PairEncoder):
        return first.special_tokens
    count: int = cast("Any", model.tokenizer).num_special_tokens_to_add(pair=True)
    return count
