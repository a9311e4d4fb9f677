"""Calibrating a device without a table: choose a few whole networks, measure them there, fit, judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware.hosts import Host
from hardware.runtimes import Runtime
from hardware.settings import MeasureSettings
from hardware.table import LatencyTable
from nas.errors import JobError
from nas.latency.calibration import FIT, KNOWN, VALIDATE, Calibration, CalibrationHeader, KnownTable, is_calibration
from nas.latency.plan import choose_networks
from nas.latency.sessions import Sessions
from nas.progress import Progress
from predictors.calibrated import FEWEST, CalibratedPredictor
from search_spaces import Architecture, SearchSpace

MOST = 100  # networks: beyond these a table of the device's own tells more
POOL = 400  # networks from which those to measure are chosen
SEED = 0


@dataclass(frozen=True)
class CalibrationRequest:
    """What `nas latency --calibrate` was asked for; ``known``: tables of other devices, by name."""

    space: SearchSpace
    known: Mapping[str, LatencyTable]
    out: Path
    runtime: str
    precision: str = "fp32"
    threads: int = 1
    count: int = 10
    validate: int = 0


@dataclass(frozen=True)
class CalibrationPlan:
    """predictor: of the known tables, not fitted. pool: networks to choose from. judges: networks to validate with, the first
    first. chosen: the networks that are measured if the device refuses none."""

    predictor: CalibratedPredictor
    pool: list[Architecture]
    judges: list[Architecture]
    chosen: list[Architecture]


def plan_calibration(request: CalibrationRequest) -> CalibrationPlan:
    """What would be measured; needs no device.

    Raises:
        JobError: the space is too small. PredictorError: a known table is stale or lacks an operator.
    """
    predictor = CalibratedPredictor(request.space, list(request.known.values()))
    # Typical networks tell most of all others; those that judge reach the fast end too, as those of tables do.
    pool = _unique(map(request.space.architecture, request.space.sample(POOL, np.random.default_rng([SEED, 8]))))
    count = min(POOL, request.space.size())
    judges = _unique(choose_networks(request.space, count, np.random.default_rng([SEED, 9])))
    if len(pool) < request.count:
        raise JobError(f"--calibrate: got {request.count}; legal: at most {len(pool)}, as many as the space has")
    chosen = predictor.choose(request.space.matrix(pool), request.count)
    order = np.random.default_rng([SEED, 10]).permutation(len(judges))
    return CalibrationPlan(predictor, pool, [judges[i] for i in order], [pool[i] for i in chosen])


def opened(request: CalibrationRequest, host: Host) -> Calibration | None:
    """The calibration that is in ``request.out`` already, None if there is none. Nothing is written.

    Raises:
        JobError: a number is illegal, or the folder holds something else or was made in another way. HardwareError: the
            runtime cannot be used.
    """
    if not FEWEST <= request.count <= MOST:
        raise JobError(
            f"--calibrate: got {request.count}; legal: {FEWEST} to {MOST} networks (with more, `nas profile` measures a "
            "table of the device's own)"
        )
    if not 0 <= request.validate <= POOL:
        raise JobError(f"--validate: got {request.validate}; legal: 0 to {POOL} networks")
    runtime = host.runtime(request.runtime, request.precision, request.threads)
    runtime.require()
    out = request.out
    if not is_calibration(out):
        if out.exists() and (not out.is_dir() or any(entry.name != KNOWN for entry in out.iterdir())):
            raise JobError(f"--out: {out} exists and is no calibration; legal: a new folder, or a calibration")
        return None
    found, wanted = Calibration.load(out), _header(request, host, runtime)
    for key in ("space", "runtime", "precision", "threads", "batch", "mode", "versions", "options", "seed"):
        if (there := getattr(found.header, key)) != (here := getattr(wanted, key)):
            raise JobError(f"--out: the calibration in {out} has {key} {there}, not {here}; legal: another folder")
    if (there := found.header.device["name"]) != (here := wanted.device["name"]):
        raise JobError(f"--out: the calibration in {out} is of device {there!r}, not {here!r}; legal: another folder")
    if {n: t.header for n, t in found.tables.items()} != {n: t.header for n, t in request.known.items()}:
        raise JobError(f"--table: the calibration in {out} began with {', '.join(found.tables)}; legal: none, or those")
    return found


def calibrate(
    request: CalibrationRequest, host: Host, progress: Progress, settings: MeasureSettings | None = None
) -> Calibration:
    """Measures what ``request.out`` lacks, fits, judges and keeps the calibration there; a finished one is not measured again.

    A network that the runtime refuses is told and left out, and so is every other one with an operator that it refuses
    alone; the next best takes its place.

    Raises:
        JobError: see `opened` and `plan_calibration`. HardwareError: the runtime cannot be used there, or refuses almost all.
    """
    calibration = opened(request, host)
    if calibration is not None and is_finished(calibration, request):
        return calibration
    plan = plan_calibration(request)
    runtime = host.runtime(request.runtime, request.precision, request.threads)
    if calibration is None:
        calibration = Calibration.start(request.out, _header(request, host, runtime), request.known)
    counts = {
        "count": max(request.count, calibration.header.count),
        "validate_count": max(request.validate, calibration.header.validate_count),
    }
    calibration = calibration.with_header(left_out=None, validation=None, **counts)
    work = Sessions(calibration, host, runtime, progress, settings)
    work.measure(FIT, counts["count"], lambda count: _best(plan, work.calibration, count))
    work.measure(VALIDATE, counts["validate_count"], lambda count: _first(plan.judges, work.calibration, count))
    predictor = plan.predictor.fit(*work.calibration.of(FIT))
    rows, ms = work.calibration.of(VALIDATE)
    validation = predictor.judge(rows, ms) if len(ms) else None
    return work.calibration.with_header(left_out=predictor.left_out(), validation=validation)


def _best(plan: CalibrationPlan, calibration: Calibration, count: int) -> list[Architecture]:
    """The networks of the pool that tell most beside those measured."""
    free = list(_free(plan.pool, calibration))
    rows = calibration.space.matrix(free)
    still = calibration.header.count - len(calibration.of(FIT)[0])
    if not free:
        return []
    return [free[i] for i in plan.predictor.choose(rows, still, calibration.of(FIT)[0])[:count]]


def _first(judges: list[Architecture], calibration: Calibration, count: int) -> list[Architecture]:
    return [network for network, _ in zip(_free(judges, calibration), range(count), strict=False)]


def _free(networks: list[Architecture], calibration: Calibration) -> Iterator[Architecture]:
    """Those that are neither measured nor refused."""
    refused = calibration.header.refused
    taken = {one.architecture.hash for one in calibration.measured} | refused.keys()
    for network in networks:
        if network.hash not in taken and not any(spec.name in refused for spec in network.specs):
            yield network


def _unique(networks: Iterable[Architecture]) -> list[Architecture]:
    return list({network.hash: network for network in networks}.values())


def is_finished(calibration: Calibration, request: CalibrationRequest) -> bool:
    """Whether nothing that is asked for is left to measure."""
    header = calibration.header
    return header.left_out is not None and header.count >= request.count and header.validate_count >= request.validate


def _header(request: CalibrationRequest, host: Host, runtime: Runtime) -> CalibrationHeader:
    described = runtime.describe()
    base = next(iter(request.known.values())).header
    return CalibrationHeader(
        schema_version=1,
        space=dict(request.space.definition),
        device=host.device(runtime.name).to_json(),
        runtime=described["runtime"],
        precision=described["precision"],
        threads=described["threads"],
        batch=base["batch"],
        mode=base.get("mode", "forward"),
        versions=dict(described["versions"]),
        options=dict(described.get("options") or {}),
        known=[KnownTable(name=name, sha256="") for name in request.known],
        seed=SEED,
        count=request.count,
        validate=request.validate,
    )
