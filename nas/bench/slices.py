"""Claim: a supernet's subnet equals the extracted network, and that equals what runs in a deployment runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from hardware.errors import HardwareError
from hardware.runtimes import get_runtime
from nas.conformance.cases import randomise
from nas.export.parity import relative_error
from nas.progress import Progress
from search_spaces import Architecture, SearchSpace, Supernet
from search_spaces.decode import example_inputs

PARCEL = 16  # networks converted and held at a time


def bench_slices(
    space: SearchSpace,
    count: int,
    onnx: int,
    seed: int,
    progress: Progress,
    batch: int = 2,
    executorch: int = 0,
    workers: int = 1,
) -> dict[str, Any]:
    """``count`` random architectures as subnets and as extracted networks on random inputs; the first ``onnx`` of them
    run in ONNX Runtime too, and the first ``executorch`` in ExecuTorch. ``workers`` processes convert.

    Weights and batch-norm statistics are random, so that no scale or offset is trivially one or zero.

    Returns:
        count, max_relative_error (largest difference over the largest output), onnx_count, onnx_max_error (same),
        executorch_count, executorch_max_error (same), failures (text, one a network that could not be built, converted
        or run), operators (how many different ones the networks used), space, seed.
    """
    supernet = Supernet(space, seed).eval()
    randomise(supernet, seed)
    architectures = [space.architecture(row) for row in space.sample(count, np.random.default_rng(seed))]
    failures: list[str] = []
    worst = 0.0
    torch.manual_seed(seed)
    advance = progress.task("compare slices", count)
    for done, architecture in enumerate(architectures, 1):
        (x,) = example_inputs(architecture.specs[0], batch)
        try:
            with torch.no_grad():
                own = supernet.extract(architecture)(x).numpy()
                worst = max(worst, relative_error(own, supernet.subnet(architecture)(x).numpy()))
        except RuntimeError as error:
            failures.append(f"{architecture.hash}: {error}")
        advance(done)
    figures: dict[str, Any] = {}
    for key, runtime, many in (("onnx", "onnxruntime", onnx), ("executorch", "executorch", executorch)):
        errors = _deploy(supernet, architectures[:many], runtime, workers, failures, progress)
        figures |= {f"{key}_count": len(errors), f"{key}_max_error": max(errors, default=0.0)}
    used = {spec.name for architecture in architectures for spec in architecture.specs}
    return {
        "space": space.name,
        "seed": seed,
        "count": count,
        "max_relative_error": worst,
        **figures,
        "failures": failures,
        "operators": len(used),
    }


def _deploy(
    supernet: Supernet,
    architectures: Sequence[Architecture],
    runtime: str,
    workers: int,
    failures: list[str],
    progress: Progress,
) -> list[float]:
    """Relative error of each network in ``runtime``; those that cannot be converted or run are added to ``failures``."""
    errors: list[float] = []
    advance = progress.task(f"run in {runtime}", len(architectures))
    for start in range(0, len(architectures), PARCEL * workers):
        parcel = architectures[start : start + PARCEL * workers]
        items = {a.hash: (supernet.extract(a), example_inputs(a.specs[0], 1)) for a in parcel}
        for key, outcome in _run(items, runtime, workers).items():
            if isinstance(outcome, str):
                failures.append(f"{key} in {runtime}: {outcome}")
            else:
                errors.append(outcome)
        advance(start + len(parcel))
    return errors


def _run(
    items: Mapping[str, tuple[nn.Module, tuple[torch.Tensor, ...]]], name: str, workers: int
) -> dict[str, float | str]:
    """Key -> relative error, or why it failed; one at a time where a parcel fails."""
    runtime = get_runtime(name)
    try:
        runners = runtime.prepare_many([(key, *item) for key, item in items.items()], workers)
    except HardwareError as error:
        if len(items) == 1:
            return {next(iter(items)): str(error)}
        return {key: outcome for key, item in items.items() for key, outcome in _run({key: item}, name, 1).items()}
    found: dict[str, float | str] = {}
    for key, (module, inputs) in items.items():
        with torch.no_grad():
            expected = module(*inputs).numpy()
        found[key] = relative_error(expected, np.asarray(runners[key]()))
    return found
