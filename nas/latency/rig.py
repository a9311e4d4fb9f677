"""Operators and whole networks of a space, prepared on one device and timed together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from hardware.errors import HardwareError, RefusedError
from hardware.hosts import Host
from hardware.measure import Runner, measure
from hardware.measurement import MeasurementList
from hardware.runtimes import ConversionCache, Runtime
from hardware.settings import MeasureSettings
from hardware.table import LatencyTable
from nas.progress import Progress
from search_spaces import Architecture, OperatorSpec, SearchSpace, build_network, build_operator
from search_spaces.decode import DecodeStep, decode_inputs, example_inputs

BRIEF = MeasureSettings.quick()  # to try: only what decides what to measure with care
MODES = ("forward", "decode")  # a call is a whole input, or one token with the state before it


class Rig:
    """What is prepared on ``host`` with ``runtime``, and timed in one session whenever asked.

    batch: inputs a call. mode: see `MODES`. workers: processes for conversions.
    """

    def __init__(
        self, host: Host, runtime: Runtime, progress: Progress, batch: int = 1, mode: str = "forward", workers: int = 1
    ) -> None:
        self._host, self._runtime, self._progress = host, runtime, progress
        self._batch, self._mode, self._workers = batch, mode, workers
        self._runners: dict[str, Runner] = {}

    def __len__(self) -> int:
        return len(self._runners)

    def prepare(self, operators: Iterable[OperatorSpec], networks: Iterable[Architecture]) -> None:
        """Adds operators and whole networks, with random weights.

        Raises:
            HardwareError: the runtime cannot run some of them; all are named.
        """
        items = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for spec in operators:
                items.append((spec.canonical, *prepared(build_operator(spec), spec, self._batch, self._mode)))
            for network in networks:
                parts = prepared(build_network(network), network.specs[0], self._batch, self._mode)
                items.append((network_key(network), *parts))
        if not items:
            return
        advance = self._progress.task(f"prepare for {self._runtime.name}", len(items))
        try:
            self._runners |= self._runtime.prepare_many(
                items, self._workers, lambda done, total: advance(done), ConversionCache()
            )
        except RefusedError as error:
            raise HardwareError(refusal(self._runtime.name, error.reasons)) from error

    def measure(self, settings: MeasureSettings | None, what: str = "measure") -> MeasurementList:
        """Times all that is prepared, interleaved."""
        total = 4 * len(self._runners)
        advance = self._progress.task(f"{what} {self._runtime.name}", total)
        return measure(
            self._runners,
            settings=settings,
            threads=self._runtime.threads,
            state=self._host.conditions,
            energy=None if settings == BRIEF else self._host.energy(self._runtime.name),
            progress=lambda done, slots: advance(done * total // slots),
        )

    def table(
        self,
        measured: MeasurementList,
        space: SearchSpace,
        operators: Iterable[OperatorSpec],
        networks: Mapping[str, Sequence[Architecture]],
    ) -> LatencyTable:
        """The table of what was measured of these operators, and of these networks by role; not validated."""
        table = LatencyTable.create(
            device=self._host.device(self._runtime.name),
            runtime=self._runtime.describe(),
            batch=self._batch,
            conditions=measured.conditions,
            noise_floor=measured.noise_floor,
            seconds=measured.seconds,
            space=space.definition,
        )
        by_key = {measurement.key: measurement for measurement in measured}
        table = table.with_operators(by_key[spec.canonical] for spec in operators)
        for role, chosen in networks.items():
            table = table.with_networks((by_key[network_key(network)] for network in chosen), role)
        return table if self._mode == "forward" else table.with_header(mode=self._mode)


def refusal(runtime: str, reasons: Mapping[str, str]) -> str:
    """What a user can do about the keys that a runtime refuses: the operators to leave out, each with its reason."""
    by_name: dict[str, str] = {}
    for key, reason in reasons.items():
        by_name.setdefault("a whole network" if key.startswith("{") else OperatorSpec.parse(key).name, reason)
    if len(by_name) > 1:
        by_name.pop("a whole network", None)  # it has one of the operators in it
    lines = "; ".join(f"{name}: {reason}" for name, reason in sorted(by_name.items()))
    return (
        f"runtime {runtime!r} cannot run {len(by_name)} operators of the space (leave them out: --without, or the mixers "
        f"of a job's space): {lines}"
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
