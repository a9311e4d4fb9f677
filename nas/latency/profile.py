"""A latency table for a search space on one device: choose what to measure, measure it, judge the table."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hardware.errors import HardwareError, RefusedError
from hardware.hosts import Host
from hardware.measure import measure
from hardware.runtimes import ConversionCache
from hardware.settings import MeasureSettings
from hardware.table import LatencyTable
from nas.progress import Progress
from predictors import LatencyPredictor
from search_spaces import Architecture, OperatorSpec, SearchSpace, build_network, build_operator, cost
from search_spaces.decode import DecodeStep, decode_inputs, example_inputs

MODES = ("forward", "decode")  # a call is a whole input, or one token with the state before it


@dataclass(frozen=True)
class ProfilePlan:
    """What a table measures: operator specs, and whole networks for its correction and for its validation."""

    operators: list[OperatorSpec]
    fit: list[Architecture]
    validate: list[Architecture]


def plan_profile(space: SearchSpace, operators: int, fit: int, validate: int, seed: int = 0) -> ProfilePlan:
    """The plan for ``space``: at most ``operators`` specs, ``fit`` and ``validate`` different whole networks."""
    networks = choose_networks(space, fit + validate, np.random.default_rng([seed, 5]))
    roles = np.random.default_rng([seed, 6]).permutation(len(networks))
    chosen = [networks[i] for i in roles]
    return ProfilePlan(choose_operators(space.specs(), operators), chosen[:fit], chosen[fit:])


def choose_operators(specs: Sequence[OperatorSpec], count: int) -> list[OperatorSpec]:
    """At most ``count`` of ``specs``, spread over their sizes.

    Each operator name gets a share in proportion to the root of its number of specs; within a name the next spec is the
    one farthest from those chosen so far (Gonzalez' greedy maximin design), on a logarithmic scale of sizes and shape.
    """
    if count >= len(specs):
        return list(specs)
    groups: dict[str, list[OperatorSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.name, []).append(spec)
    weight = {name: len(group) ** 0.5 for name, group in groups.items()}
    share = count / sum(weight.values())
    chosen: list[OperatorSpec] = []
    for name, group in groups.items():
        chosen += _spread(group, min(max(int(share * weight[name]), 1), len(group)))
    return chosen[:count]


def _spread(group: Sequence[OperatorSpec], count: int) -> list[OperatorSpec]:
    points = np.log1p([[value for _, value in spec.sizes] + list(spec.shape) for spec in group])
    points = points / np.maximum(np.ptp(points, axis=0), 1e-9)
    first = int(np.argmax([cost(spec).macs for spec in group]))
    picked = [first]
    distance = np.linalg.norm(points - points[first], axis=1)
    while len(picked) < count:
        farthest = int(distance.argmax())
        picked.append(farthest)
        distance = np.minimum(distance, np.linalg.norm(points - points[farthest], axis=1))
    return [group[i] for i in picked]


def choose_networks(space: SearchSpace, count: int, rng: np.random.Generator) -> list[Architecture]:
    """``count`` different architectures, evenly spread over the logarithm of their MACs: random ones alone would crowd in
    the middle, while a search works at the fast end."""
    rows = np.unique(np.concatenate([space.sample(40 * count, rng), space.smallest(space.sample(count, rng))]), axis=0)
    macs = np.log(space.additive(lambda spec: cost(spec).macs).score(rows))
    order = np.argsort(macs, kind="stable")
    wanted = np.linspace(macs[order[0]], macs[order[-1]], count)
    taken: list[int] = []
    free = np.ones(len(rows), bool)
    for value in wanted:
        nearest = int(np.where(free, np.abs(macs - value), np.inf).argmin())
        free[nearest] = False
        taken.append(nearest)
    return [space.architecture(rows[i]) for i in taken]


def measure_table(
    space: SearchSpace,
    runtime_name: str,
    plan: ProfilePlan,
    progress: Progress,
    *,
    host: Host | None = None,
    precision: str = "fp32",
    threads: int = 1,
    batch: int = 1,
    mode: str = "forward",
    workers: int = 1,
    settings: MeasureSettings | None = None,
) -> LatencyTable:
    """Measures ``plan`` on ``host`` (this machine if none) and validates the table on the plan's held-out networks.

    Operators and whole networks are timed in one interleaved session, under the same conditions. In the mode ``decode`` a
    call is one token with the state before the first one, for operators and networks alike.

    Raises:
        HardwareError: the runtime is not available here, or cannot run an operator.
    """
    began = time.perf_counter()
    host = host or Host()
    runtime = host.runtime(runtime_name, precision, threads)
    runtime.require()
    items = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for spec in plan.operators:
            items.append((spec.canonical, *prepared(build_operator(spec), spec, batch, mode)))
        for architecture in (*plan.fit, *plan.validate):
            network = build_network(architecture)
            items.append((network_key(architecture), *prepared(network, architecture.specs[0], batch, mode)))
    advance = progress.task(f"prepare for {runtime_name}", len(items))
    try:
        runners = runtime.prepare_many(items, workers, lambda done, total: advance(done), ConversionCache())
    except RefusedError as error:
        raise HardwareError(refusal(runtime_name, error.reasons)) from error
    advance = progress.task(f"measure {runtime_name}", len(runners) * 4)
    measured = measure(
        runners,
        settings=settings,
        threads=threads,
        state=host.conditions,
        progress=lambda done, total: advance(done * len(runners) * 4 // total),
    )
    by_key = {measurement.key: measurement for measurement in measured}
    table = LatencyTable.create(
        device=host.device(runtime_name),
        runtime=runtime.describe(),
        batch=batch,
        conditions=measured.conditions,
        noise_floor=measured.noise_floor,
        seconds=time.perf_counter() - began,
        space=space.definition,
    ).with_operators(by_key[spec.canonical] for spec in plan.operators)
    for role, networks in (("fit", plan.fit), ("validate", plan.validate)):
        table = table.with_networks((by_key[network_key(network)] for network in networks), role)
    if mode != "forward":
        table = table.with_header(mode=mode)
    return table.with_header(validation=LatencyPredictor(space, table).validation)


def refusal(runtime: str, reasons: Mapping[str, str]) -> str:
    """What a user can do about the keys that a runtime refuses: the operators to leave out, each with its reason."""
    by_name: dict[str, str] = {}
    for key, reason in reasons.items():
        by_name.setdefault("a whole network" if key.startswith("{") else OperatorSpec.parse(key).name, reason)
    if len(by_name) > 1:
        by_name.pop("a whole network", None)  # it has one of the operators in it
    lines = "; ".join(f"{name}: {reason}" for name, reason in sorted(by_name.items()))
    return (
        f"runtime {runtime!r} cannot run {len(by_name)} operators of the space (leave them out of its mixers): {lines}"
    )


def prepared(module: nn.Module, first: OperatorSpec, batch: int, mode: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """What a runtime times: the module, or a decoding step of it, and random inputs; ``first`` is the spec of the module or
    of its first operator.

    Raises:
        SpaceError: the module cannot decode.
    """
    if mode == "forward":
        return module, example_inputs(first, batch)
    step = DecodeStep(module)
    return step, decode_inputs(first, step, batch)


def network_key(architecture: Architecture) -> str:
    """The key of a whole network in a table: its JSON on one line."""
    return json.dumps(architecture.to_json(), sort_keys=True, separators=(",", ":"))
