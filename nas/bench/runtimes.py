"""Every mixer of a space in every runtime and precision, at about equal work: which is the fastest, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from hardware.errors import HardwareError, RefusedError
from hardware.measure import Runner, measure
from hardware.measurement import MeasurementList
from hardware.runtimes import ConversionCache, get_runtime
from hardware.settings import MeasureSettings
from nas.errors import JobError
from nas.progress import Progress
from search_spaces import OperatorSpec, SearchSpace, build_operator, cost
from search_spaces.decode import example_inputs
from search_spaces.operators import family, get_operator

NEAR = (
    2.0  # mixers within this factor of the common work compete; the others (pooling, a giant) are measured beside them
)
Items = list[tuple[str, nn.Module, tuple[Tensor, ...]]]
Asked = Mapping[str, Sequence[str]]  # runtime -> precisions


def mixers_at(space: SearchSpace, shape: tuple[int, ...]) -> tuple[list[OperatorSpec], float]:
    """One spec of every mixer that the space has at an input shape, and the common work: the median over mixers of the median
    MACs over their sizes. The spec is the one whose MACs are nearest to it.

    Raises:
        JobError: the space has none there.
    """
    groups: dict[str, list[OperatorSpec]] = {}
    legal = set()
    for spec in space.specs():
        if get_operator(spec.name).role == "mixer":
            legal.add(spec.shape)
            if spec.shape == shape:
                groups.setdefault(spec.name, []).append(spec)
    if not groups:
        shapes = ", ".join("x".join(map(str, one)) for one in sorted(legal))
        raise JobError(f"--shapes: got {'x'.join(map(str, shape))}; legal in {space.name}: {shapes}")
    work = float(np.median([np.median([cost(spec).macs for spec in group]) for group in groups.values()]))
    nearest = [
        min(group, key=lambda spec: abs(np.log((cost(spec).macs + 1) / work))) for _, group in sorted(groups.items())
    ]
    return nearest, work


def bench_runtimes(
    space: SearchSpace, shapes: Sequence[tuple[int, ...]], asked: Asked, workers: int, progress: Progress
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Times `mixers_at` every shape, one thread; all precisions of a runtime in one interleaved session.

    Returns:
        a frame with a row for each shape, mixer, runtime and precision: family, spec, macs, competes, median_ms, ci_low_ms,
        ci_high_ms, error (largest difference to eager fp32 over its largest output) and refused (the reason, if it is); and
        noise_floor, warnings and versions by runtime.

    Raises:
        JobError: a shape that the space has not. HardwareError: a runtime that is not there.
    """
    chosen = {shape: mixers_at(space, shape) for shape in shapes}
    for name, precisions in asked.items():
        for precision in precisions:
            get_runtime(name, precision).require()
    items: Items = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for spec in (spec for specs, _ in chosen.values() for spec in specs):
            items.append((spec.canonical, build_operator(spec).eval(), example_inputs(spec, 1)))
    true = {}
    with torch.no_grad():
        for key, module, inputs in items:
            true[key] = module(*inputs).numpy()
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    record: dict[str, Any] = {}
    for name, precisions in asked.items():
        runners: dict[str, Runner] = {}
        for precision in precisions:
            ready, refused = _prepared(name, precision, items, workers, progress)
            runners |= {f"{precision} {key}": runner for key, runner in ready.items()}
            for key, reason in refused.items():
                rows[name, precision, key] = {"refused": reason}
            for key, runner in ready.items():
                rows[name, precision, key] = {"error": _error(runner(), true[key])}
        measured = _measured(name, runners, progress)
        for one in measured:
            precision, _, key = one.key.partition(" ")
            times = {"median_ms": one.median_ms, "ci_low_ms": one.ci_low_ms, "ci_high_ms": one.ci_high_ms}
            rows[name, precision, key] |= times
        record[name] = {
            "noise_floor": measured.noise_floor,
            "warnings": measured.conditions["warnings"],
            "versions": get_runtime(name).versions(),
        }
    return _frame(chosen, rows), record


def _prepared(
    name: str, precision: str, items: Items, workers: int, progress: Progress
) -> tuple[dict[str, Runner], dict[str, str]]:
    """Runners of what the runtime takes, and the reasons for what it does not."""
    runtime, cache = get_runtime(name, precision), ConversionCache()
    refused: dict[str, str] = {}
    for _ in range(2):  # at the second time what it refused is left out
        left = [item for item in items if item[0] not in refused]
        advance = progress.task(f"prepare for {name} {precision}", len(left))
        try:
            return runtime.prepare_many(left, workers, partial(_tell, advance), cache), refused
        except RefusedError as error:
            refused = dict(error.reasons)
    raise HardwareError(f"runtime {name!r} refused other operators the second time: {', '.join(refused)}")


def _tell(advance: Callable[[int], None], done: int, _: int) -> None:
    advance(done)


def _measured(name: str, runners: Mapping[str, Runner], progress: Progress) -> MeasurementList:
    advance = progress.task(f"measure {name}", 1000)
    return measure(runners, settings=MeasureSettings(), progress=lambda done, total: advance(1000 * done // total))


def _error(output: object, true: np.ndarray) -> float:
    found = np.asarray(output, dtype=np.float32).reshape(true.shape)
    return float(np.abs(found - true).max() / np.abs(true).max())


def _frame(
    chosen: Mapping[tuple[int, ...], tuple[list[OperatorSpec], float]],
    rows: Mapping[tuple[str, str, str], dict[str, Any]],
) -> pd.DataFrame:
    columns = ["shape", "mixer", "family", "runtime", "precision", "median_ms", "ci_low_ms", "ci_high_ms", "error"]
    columns += ["macs", "competes", "spec", "refused"]
    found = []
    for shape, (specs, work) in chosen.items():
        macs = {spec.canonical: cost(spec).macs for spec in specs}
        by_key = {spec.canonical: spec for spec in specs}
        for (runtime, precision, key), row in rows.items():
            if key in by_key:
                fact = {
                    "shape": "x".join(map(str, shape)),
                    "mixer": by_key[key].name,
                    "family": family(by_key[key].name),
                    "runtime": runtime,
                    "precision": precision,
                    "macs": macs[key],
                    "competes": bool(work / NEAR <= macs[key] <= NEAR * work),
                    "spec": key,
                }
                found.append(fact | row)
    return pd.DataFrame(found, columns=columns)


def winners(frame: pd.DataFrame) -> pd.DataFrame:
    """The fastest mixers that compete: shape, runtime, precision, mixer, median_ms, and the second's lead over it."""
    rows = []
    ready = frame[frame["competes"] & frame["median_ms"].notna()]
    for (shape, runtime, precision), part in ready.groupby(["shape", "runtime", "precision"], sort=False):
        first, second = part.nsmallest(2, "median_ms").to_dict("records")
        rows.append(
            {
                "shape": shape,
                "runtime": runtime,
                "precision": precision,
                "mixer": first["mixer"],
                "family": first["family"],
                "median_ms": first["median_ms"],
                "second": second["mixer"],
                "second_ms": second["median_ms"],
            }
        )
    return pd.DataFrame(rows)


def gains(frame: pd.DataFrame, precision: str) -> pd.DataFrame:
    """A row for each runtime and family: how many mixers, the speed over fp32 (median, quartiles) and the error of
    ``precision`` (median, largest)."""
    keys = ["shape", "mixer", "family", "runtime"]
    fp32, other = (frame[(frame["precision"] == p) & frame["median_ms"].notna()] for p in ("fp32", precision))
    both = fp32.merge(other, on=keys, suffixes=("_fp32", ""))
    both["speed"] = both["median_ms_fp32"] / both["median_ms"]
    rows = []
    for (runtime, kind), part in both.groupby(["runtime", "family"], sort=False):
        low, middle, high = part["speed"].quantile([0.25, 0.5, 0.75])
        rows.append(
            {
                "runtime": runtime,
                "family": kind,
                "operators": len(part),
                "speed": middle,
                "speed_low": low,
                "speed_high": high,
                "error": part["error"].median(),
                "error_max": part["error"].max(),
            }
        )
    return pd.DataFrame(rows)
