"""A cascade as its owner writes it: which stages, in which order, how deep, within what time."""

from __future__ import annotations

from cascade.config.blend import Blend
from cascade.config.calibration import Calibration, Isotonic, Platt
from cascade.config.cascade import CascadeConfig
from cascade.config.encoders import CrossEncoderConfig, LateInteractionConfig
from cascade.config.endpoint import EndpointConfig
from cascade.config.fields import Depth, Evidence, Model, Name, Positive
from cascade.config.fuse import FuserConfig, RrfConfig, WeightedConfig
from cascade.config.language import JointConfig, LanguageBackend, LikelihoodConfig
from cascade.config.prompted import LogitsConfig, PermutationConfig, SetwiseConfig, TournamentConfig
from cascade.config.reading import load, parse
from cascade.config.retrieve import Bm25Config, DenseConfig, GivenConfig, RetrieverConfig
from cascade.config.tier import IdentityConfig, PointwiseTier
from cascade.config.tiers import PointwiseConfig, TierConfig
from cascade.config.until import Prior, Until

__all__ = [
    "Blend",
    "Bm25Config",
    "Calibration",
    "CascadeConfig",
    "CrossEncoderConfig",
    "DenseConfig",
    "Depth",
    "EndpointConfig",
    "Evidence",
    "FuserConfig",
    "GivenConfig",
    "IdentityConfig",
    "Isotonic",
    "JointConfig",
    "LanguageBackend",
    "LateInteractionConfig",
    "LikelihoodConfig",
    "LogitsConfig",
    "Model",
    "Name",
    "PermutationConfig",
    "Platt",
    "PointwiseConfig",
    "PointwiseTier",
    "Positive",
    "Prior",
    "RetrieverConfig",
    "RrfConfig",
    "SetwiseConfig",
    "TierConfig",
    "TournamentConfig",
    "Until",
    "WeightedConfig",
    "load",
    "parse",
]
