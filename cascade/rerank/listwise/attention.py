"""Causal attention of one sequence, some of whose keys may have been computed before."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

from cascade.inference.towers.packed_bert import STEP
from cascade.inference.towers.padded import up

_ROWS = 64
"""Queries of one step on a processor: their scores stay in its cache, and hardly any that the mask hides are computed.
Measured against torch's own kernel on one Zen 4 core in bfloat16: 2.2 times as fast at 130 tokens, 2.8 at 700."""


def attend(query: Tensor, key: Tensor, value: Tensor, places: Tensor, scale: float) -> Tensor:
    """[heads, rows, size], where row i sees keys 0 to `places[i]` of [key heads, length, size].

    Places ascend; heads share key heads in groups.
    """
    if query.device.type != "cpu":
        seen = torch.arange(key.shape[1], device=places.device) <= places.unsqueeze(1)
        one = (query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0))
        return scaled_dot_product_attention(*one, attn_mask=seen, scale=scale, enable_gqa=True)[0]
    asked = query.shape[1]
    if asked > STEP:  # else a step of writing, for which all that was held would be copied
        query, key, value = (_stepped(one) for one in (query, key, value))
        places = functional.pad(places, (0, query.shape[1] - asked), value=int(places[-1]))
    heads, rows, size = query.shape
    groups = key.shape[0]
    keys = key.transpose(1, 2)
    found = torch.empty_like(query)
    scaled = query * scale
    limits = places.tolist()
    for start in range(0, rows, _ROWS):
        end = min(rows, start + _ROWS)
        first, last = limits[start] + 1, min(up(limits[end - 1] + 1, STEP), key.shape[1])
        few = scaled[:, start:end].reshape(groups, -1, size)
        weights = torch.bmm(few, keys[:, :, :last])
        if first < last:
            hidden = torch.arange(first, last) > places[start:end].unsqueeze(1)
            weights.view(groups, heads // groups, end - start, last)[..., first:].masked_fill_(hidden, -torch.inf)
        weights = torch.softmax(weights, dim=-1)
        found[:, start:end] = torch.bmm(weights, value[:, :last]).view(heads, end - start, size)
    return found[:, :asked]


def _stepped(states: Tensor) -> Tensor:
    """[heads, tokens, size] with as many tokens of zeros as make them a multiple of the step."""
    return functional.pad(states, (0, 0, 0, -states.shape[1] % STEP))
