"""Is a latency table still true? A few of its operators and networks, measured again."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from hardware.device import Device, changes
from hardware.errors import HardwareError
from hardware.hosts import Host
from hardware.measure import measure
from hardware.runtimes import ConversionCache
from hardware.table import LatencyTable
from nas.latency.rig import prepared
from nas.progress import Progress
from search_spaces import OperatorSpec, build_operator

SENTINELS = 12
TRUE_WITHIN = 0.03  # or twice the table's noise floor
REFUSED_BEYOND = 0.25

Verdict = Literal["true", "drifted", "stale"]


@dataclass(frozen=True)
class Check:
    """drift: median of ln(now / then) over the sentinels; spread: its median absolute deviation; changed: what of device,
    runtime and versions is no longer what the table was measured with, as "name: then -> now".

    true: drift within 3 % or twice the noise floor, and nothing changed. drifted: predictions are still given, their
    intervals widened by the drift. stale: beyond 25 %, or another device: the table is refused.
    """

    verdict: Verdict
    drift: float
    spread: float
    sentinels: int
    changed: list[str]
    time_utc: str
    seconds: float
    warnings: list[str]


def check_table(table: LatencyTable, host: Host, progress: Progress) -> tuple[Check, pd.DataFrame]:
    """Measures `SENTINELS` of the table's operators again, spread over its latencies.

    Returns:
        the check, and a frame of the sentinels: key, then_ms, now_ms.

    Raises:
        HardwareError: the table's runtime cannot be used there.
    """
    began = time.perf_counter()
    header = table.header
    runtime = host.runtime(header["runtime"], header["precision"], header["threads"])
    runtime.require()
    keys = sentinels(table)
    items = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for key in keys:
            spec = OperatorSpec.parse(key)
            module, inputs = prepared(build_operator(spec), spec, header["batch"], header.get("mode", "forward"))
            items.append((key, module, inputs))
    runners = runtime.prepare_many(items, cache=ConversionCache())
    advance = progress.task("measure sentinels", 100)
    measured = measure(
        runners,
        threads=header["threads"],
        state=host.conditions,
        progress=lambda done, total: advance(100 * done // total),
    )
    then = table.operators.set_index("key")["median_ms"]
    frame = pd.DataFrame(
        {"key": keys, "then_ms": [then[key] for key in keys], "now_ms": [m.median_ms for m in measured]}
    )
    found = judge(frame, header, host.device(header["runtime"]).to_json(), runtime.versions())
    warnings = [*measured.conditions["warnings"], *(["the sentinel drifted"] if measured.conditions["dirty"] else [])]
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return Check(*found, moment, round(time.perf_counter() - began, 1), warnings), frame


def sentinels(table: LatencyTable) -> list[str]:
    """The keys that are measured again: evenly spread over the order of the table's latencies, both ends among them."""
    if table.operators.empty:
        raise HardwareError("table: has no operators; measure it again (`nas profile`)")
    keys = list(table.operators.sort_values("median_ms")["key"])
    places = np.unique(np.linspace(0, len(keys) - 1, min(SENTINELS, len(keys))).round().astype(int))
    return [keys[i] for i in places]


def judge(
    frame: pd.DataFrame, header: dict[str, Any], device: dict[str, Any], versions: dict[str, str]
) -> tuple[Verdict, float, float, int, list[str]]:
    """(verdict, drift, spread, sentinels, changed) of sentinels measured again on a device with these versions."""
    ratio = np.log(frame["now_ms"].to_numpy() / frame["then_ms"].to_numpy())
    drift = float(np.median(ratio))
    spread = float(np.median(np.abs(ratio - drift)))
    changed = changes(Device.from_json(header["device"]), Device.from_json(device))
    names = sorted({*header["versions"], *versions})
    versions_changed = [
        f"{name}: {header['versions'].get(name)} -> {versions.get(name)}"
        for name in names
        if header["versions"].get(name) != versions.get(name)
    ]
    limit = max(TRUE_WITHIN, 2 * (header.get("noise_floor") or 0.0))
    verdict: Verdict
    if changed or abs(drift) > np.log1p(REFUSED_BEYOND):
        verdict = "stale"
    else:
        verdict = "true" if abs(drift) <= np.log1p(limit) and not versions_changed else "drifted"
    return verdict, drift, spread, len(frame), changed + versions_changed


def checked(table: LatencyTable, check: Check) -> LatencyTable:
    """The table with the check in its header, where predictors see it."""
    return table.with_header(check=asdict(check))
