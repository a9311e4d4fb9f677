"""Claim: a supernet's subnet equals the extracted network, and that equals its ONNX export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.export.parity import relative_error
from nas.progress import Progress
from search_spaces import SearchSpace, Supernet

PARCEL = 10  # networks an exporter call


def bench_slices(
    space: SearchSpace, count: int, onnx: int, seed: int, progress: Progress, batch: int = 2
) -> dict[str, Any]:
    """``count`` random architectures as subnets and as extracted networks on random images; the first ``onnx`` of them
    exported and run in ONNX Runtime too.

    Weights and batch-norm statistics are random, so that no scale or offset is trivially one or zero.

    Returns:
        count, max_relative_error (largest difference over the largest output), onnx_count, onnx_max_error (same),
        failures (text, one a network that could not be built, exported or run), space, seed.
    """
    supernet = Supernet(space, seed).eval()
    _randomise(supernet, seed)
    architectures = [space.architecture(row) for row in space.sample(count, np.random.default_rng(seed))]
    generator = torch.Generator().manual_seed(seed)
    failures: list[str] = []
    worst, worst_onnx, exported = 0.0, 0.0, 0
    advance = progress.task("compare slices", count)
    for done, architecture in enumerate(architectures, 1):
        x = torch.randn(batch, *architecture.input_shape, generator=generator)
        try:
            with torch.no_grad():
                own = supernet.extract(architecture)(x).numpy()
                worst = max(worst, relative_error(own, supernet.subnet(architecture)(x).numpy()))
        except RuntimeError as error:
            failures.append(f"{architecture.hash}: {error}")
        advance(done)
    advance = progress.task("export to ONNX", onnx)
    for start in range(0, onnx, PARCEL):
        parcel = architectures[start : min(start + PARCEL, onnx)]
        items = [(supernet.extract(a), torch.randn(1, *a.input_shape, generator=generator)) for a in parcel]
        for architecture, outcome in zip(parcel, _export(items), strict=True):
            if isinstance(outcome, str):
                failures.append(f"{architecture.hash}: {outcome}")
            else:
                exported += 1
                worst_onnx = max(worst_onnx, outcome)
        advance(min(start + PARCEL, onnx))
    return {
        "space": space.name,
        "seed": seed,
        "count": count,
        "max_relative_error": worst,
        "onnx_count": exported,
        "onnx_max_error": worst_onnx,
        "failures": failures,
    }


def _randomise(model: nn.Module, seed: int) -> None:
    """Gives norms, scales and biases values that a mistake in slicing would show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif tensor.is_floating_point() and tensor.squeeze().ndim <= 1:
                tensor.add_(0.2 * torch.randn(tensor.shape, generator=generator))


def _export(items: Sequence[tuple[nn.Module, torch.Tensor]]) -> list[float | str]:
    """Relative error of each network in ONNX Runtime, or why it failed; one at a time where a parcel fails."""
    from hardware.errors import HardwareError
    from hardware.runtimes import export_onnx_many, get_runtime

    try:
        models = export_onnx_many([(module, (x,)) for module, x in items])
    except HardwareError as error:
        if len(items) == 1:
            return [str(error)]
        return [outcome for item in items for outcome in _export([item])]
    runtime = get_runtime("onnxruntime")
    results: list[float | str] = []
    for (module, x), model in zip(items, models, strict=True):
        with torch.no_grad():
            expected = module(x).numpy()
        try:
            results.append(relative_error(expected, np.asarray(runtime.load(model, (x,))())))  # type: ignore[attr-defined]
        except HardwareError as error:
            results.append(str(error))
    return results
