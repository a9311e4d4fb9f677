"""Small networks to score, and their scores as plain numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.conformance.cases import cases
from predictors.proxies import (
    score_proxies,
)
from search_spaces import Network, OperatorSpec, build_operator, make_space
from search_spaces.architecture import Node
from search_spaces.operators import get_operator

CELL = make_space({"name": "nas-bench-201", "resolutions": [8]})


def surrounded(name: str) -> tuple[Network, Tensor, Tensor]:
    """The operator at its smallest between stem, channel mixer and head, with 6 inputs and their labels."""
    operator = get_operator(name)
    spec = cases(operator)[1]
    out = operator.output_shape(spec.shape, **dict(spec.sizes))
    of = OperatorSpec.of
    if operator.domain == "image":
        stem = of("conv_stem", (3, *spec.shape[1:]), channels=3, dim=spec.shape[0], stride=1)
        rest = [of("mlp", out, dim=out[0], ratio=2), of("pooled_head", out, dim=out[0], classes=10)]
        before = of("mlp", spec.shape, dim=spec.shape[0], ratio=2)
    else:
        stem = of("byte_embedding", spec.shape[:1], vocab=256, dim=spec.shape[-1])
        rest = [of("sequence_mlp", out, dim=out[-1], ratio=2), of("next_token_head", out, dim=out[-1], vocab=256)]
        before = of("sequence_mlp", spec.shape, dim=spec.shape[-1], ratio=2)
    specs = [spec] if operator.role == "stem" else [stem, spec]
    specs = [stem, before, spec] if operator.role == "head" else [*specs, *rest]
    torch.manual_seed(0)
    network = Network((Node(f"n{i}", s), build_operator(s)) for i, s in enumerate(specs))
    answers = get_operator(specs[-1].name).output_shape(specs[-1].shape, **dict(specs[-1].sizes))
    inputs = torch.randn(6, *specs[0].shape) if operator.domain == "image" else torch.randint(256, (6, *specs[0].shape))
    return network, inputs, torch.randint(answers[-1], (6, *answers[:-1]))


def values(network: nn.Module, *batch: Tensor, names: list[str] | None = None) -> dict[str, float]:
    scores = score_proxies(network, *batch, names=names)
    assert all(score.seconds > 0 for score in scores.values())
    return {name: score.value for name, score in scores.items()}


def mlp(*layers: nn.Module, seed: int = 0) -> tuple[nn.Sequential, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return nn.Sequential(*layers), torch.randn(8, 5, generator=generator), torch.randint(3, (8,), generator=generator)
