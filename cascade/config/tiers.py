"""Which tiers there are."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cascade.config.encoders import CrossEncoderConfig, LateInteractionConfig
from cascade.config.language import JointConfig, LikelihoodConfig
from cascade.config.prompted import LogitsConfig, PermutationConfig, SetwiseConfig, TournamentConfig
from cascade.config.tier import IdentityConfig

TierConfig = Annotated[
    CrossEncoderConfig
    | LateInteractionConfig
    | JointConfig
    | LikelihoodConfig
    | LogitsConfig
    | PermutationConfig
    | SetwiseConfig
    | TournamentConfig
    | IdentityConfig,
    Field(discriminator="kind"),
]

PointwiseConfig = CrossEncoderConfig | LateInteractionConfig | LikelihoodConfig
"""The tiers that score each document by itself."""
