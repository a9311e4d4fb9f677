"""Claim: training a subnet on slices of the supernet costs about as much as training the extracted network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hardware.paired import measure_paired
from nas.progress import Progress
from search_spaces import SearchSpace, Supernet
from search_spaces.decode import example_inputs


def bench_slicing_cost(space: SearchSpace, count: int, batch: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Forward and backward of ``count`` random architectures, as subnet and as extracted network, interleaved.

    A step of the subnet includes binding its slices and adding its gradients to the supernet's.

    Returns:
        median_ratio over the architectures, ratio_min, ratio_max, count, batch, threads, and rows, one an architecture.
    """
    supernet = Supernet(space, seed).train()
    torch.manual_seed(seed)
    rows = []
    advance = progress.task("time steps", count)
    for done, row in enumerate(space.sample(count, np.random.default_rng(seed)), 1):
        architecture = space.architecture(row)
        (x,) = example_inputs(architecture.specs[0], batch)
        own = supernet.extract(architecture)

        def on_slices(architecture: Any = architecture, x: Tensor = x) -> None:
            _step(supernet.subnet(architecture), x)

        def alone(own: nn.Module = own, x: Tensor = x) -> None:
            _step(own, x)

        found = measure_paired(on_slices, alone)
        rows.append({"hash": architecture.hash, **found.to_json()})
        advance(done, f"ratio {found.ratio:.3f}")
    ratios = [row["ratio"] for row in rows]
    return {
        "space": space.name,
        "seed": seed,
        "count": count,
        "batch": batch,
        "threads": torch.get_num_threads(),
        "median_ratio": float(np.median(ratios)),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "rows": rows,
    }


def _step(network: nn.Module, x: Tensor) -> None:
    """Gradients pile up in both cases alike, as they do over the subnets of a sandwich step."""
    network(x).logsumexp(-1).mean().backward()
