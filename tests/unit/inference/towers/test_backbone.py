"""A backbone gives the states that the library's own model gives."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from cascade.inference.towers.backbone import BertBackbone, LibraryBackbone, backbone_of

_SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
_MARKERS: dict[str, Any] = dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 3)


def _bert_like() -> dict[str, PreTrainedModel]:
    torch.manual_seed(0)
    small: dict[str, Any] = {
        "vocab_size": 50,
        "dim": 16,
        "hidden_dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "pad_token_id": 1,
    }
    return {
        "bert": BertModel(BertConfig(**_SIZES)),
        "bert with another activation": BertModel(BertConfig(**_SIZES, hidden_act="gelu_new")),
        "roberta": RobertaModel(RobertaConfig(**_SIZES)),
        "xlm-roberta": XLMRobertaModel(XLMRobertaConfig(**_SIZES)),
        "distilbert": DistilBertModel(DistilBertConfig(**small, max_position_embeddings=40)),
    }


@pytest.fixture(scope="module")
def models() -> dict[str, PreTrainedModel]:
    return {name: model.train(False) for name, model in _bert_like().items()}


def _batch(typed: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    lengths = torch.tensor([7, 12, 3])
    parts = torch.where(torch.arange(12)[None] < lengths[:, None], 0, -1)
    ids = torch.where(parts < 0, 1, torch.randint(5, 50, (3, 12)))
    positions = torch.where(parts < 0, 0, torch.arange(12)[None].expand(3, -1))
    types = torch.where((parts == 0) & (torch.arange(12) > 1)[None], 1, 0) if typed else torch.zeros_like(ids)
    return ids, positions, types, parts


@pytest.mark.parametrize("name", list(_bert_like()))
def test_layers_like_berts_are_written_out_and_give_the_librarys_states(
    models: dict[str, PreTrainedModel], name: str
) -> None:
    model, (ids, positions, types, parts) = models[name], _batch(typed=name.startswith("bert"))
    backbone = backbone_of(model)
    given = {"token_type_ids": types} if types.any() else {}
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=(parts >= 0).long(), **given)[0]
        found = backbone(ids, positions, types, parts)
    assert isinstance(backbone, BertBackbone)
    torch.testing.assert_close(found[parts >= 0], expected[parts >= 0], atol=1e-5, rtol=0)


def test_the_weights_of_a_backbone_are_the_memory_that_it_computes_with(models: dict[str, PreTrainedModel]) -> None:
    backbone = backbone_of(models["bert"])
    ids, positions, types, parts = _batch()
    assert backbone.bert is not None
    before = backbone(ids, positions, types, parts)
    backbone.bert.layers[1].value.weight.zero_()
    backbone.bert.layers[1].value.bias.zero_()
    assert not torch.allclose(backbone(ids, positions, types, parts), before)


def test_an_encoder_that_is_built_in_another_way_runs_by_its_own_forward() -> None:
    torch.manual_seed(0)
    model = ModernBertModel(ModernBertConfig(**_SIZES, **_MARKERS)).train(False)
    backbone = backbone_of(model)
    ids, positions, types, parts = _batch()
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=(parts >= 0).long())[0]
        found = backbone(ids, positions, types, parts)
    assert isinstance(backbone, LibraryBackbone)
    assert backbone.bert is None
    torch.testing.assert_close(found[parts >= 0], expected[parts >= 0], atol=1e-5, rtol=0)
