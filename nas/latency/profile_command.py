"""`nas profile`: a new latency table, and whether an old one is still true."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from hardware.hosts import LOCAL, open_host
from hardware.table import LatencyTable
from nas.errors import JobError
from search_spaces import SearchSpace
from search_spaces.operators import get_operator

if TYPE_CHECKING:
    from nas.latency.plan import ProfilePlan


def mixers_without(space: SearchSpace, names: Sequence[str]) -> list[str]:
    """The mixers of a space but for some.

    Raises:
        JobError: one is none of its mixers, or none is left.
    """
    mixers = [n for n in dict.fromkeys(spec.name for spec in space.specs()) if get_operator(n).role == "mixer"]
    for name in names:
        if name not in mixers:
            raise JobError(f"--without: got {name!r}; legal: the mixers of {space.name}: {', '.join(mixers)}")
    left = [name for name in mixers if name not in names]
    if not left:
        raise JobError(f"--without: leaves no mixer; legal: fewer than all of {', '.join(mixers)}")
    return left


STOPPED = {
    "error": "the error goal is met",
    "probes": "as many as were allowed",
    "space": "the whole space",
    "minutes": "more would not be done in time",
}


@dataclass(frozen=True)
class ProfileRequest:
    """What `nas profile` was asked for; see its options."""

    space: SearchSpace
    runtime: str
    out: Path
    device: str = LOCAL
    precision: str = "fp32"
    threads: int = 1
    batch: int = 1
    mode: str = "forward"
    operators: int = 260
    fit: int = 40
    validate: int = 50
    error: float = 0.02
    minutes: float = 15.0


def profile_space(request: ProfileRequest, dry_run: bool, as_json: bool, console: Console) -> None:
    """Measures and saves a latency table; see `nas profile`. As JSON: the table's header, its folder and how many operators it
    has, or, for a dry run, the plan.

    Raises:
        JobError: an argument is illegal; HardwareError: the device or runtime cannot be used, or refuses an operator.
    """
    from nas.latency.plan import plan_profile
    from nas.latency.profile import measure_table
    from nas.latency.rig import MODES
    from nas.progress import Terminal

    space, out = request.space, request.out
    if request.mode not in MODES:
        raise JobError(f"--mode: got {request.mode!r}; legal: {', '.join(MODES)}")
    if out.exists() and not (out / "header.json").exists() and (not out.is_dir() or any(out.iterdir())):
        raise JobError(f"--out: {out} exists and is no latency table; legal: a new folder, or a table to replace")
    with (
        Terminal(Console(stderr=True) if as_json else console) as progress,
        open_host(request.device, progress.say) as host,
    ):
        host.runtime(request.runtime, request.precision, request.threads).require()
        plan = plan_profile(space, request.operators, request.fit, request.validate)
        if dry_run:
            _print_plan(request, plan, host.name, as_json, console)
            return
        table = measure_table(
            space,
            request.runtime,
            plan,
            progress,
            host=host,
            precision=request.precision,
            threads=request.threads,
            batch=request.batch,
            mode=request.mode,
            workers=2,
            goal=request.error,
            minutes=request.minutes,
        )
    table.save(out)
    _print_table(table, out, as_json, console)


def _print_plan(request: ProfileRequest, plan: ProfilePlan, host: str, as_json: bool, console: Console) -> None:
    space = request.space
    if as_json:
        counts = {
            "operators": plan.most,
            "of": len(space.specs()),
            "fit": len(plan.fit),
            "validate": len(plan.validate),
        }
        asked = {key: getattr(request, key) for key in ("runtime", "precision", "threads", "batch", "mode")}
        print(json.dumps({"space": space.name, "device": host, **asked, **counts}, indent=2))
        return
    console.print(
        f"{space.name}: up to {plan.most} of {len(space.specs())} operator specs and {len(plan.fit)} + "
        f"{len(plan.validate)} whole networks on {host}: {request.runtime}, {request.precision}, {request.threads} thread(s)",
        soft_wrap=True,
        highlight=False,
    )


def _print_table(table: LatencyTable, out: Path, as_json: bool, console: Console) -> None:
    from nas.latency.source import TableSource

    if as_json:
        print(json.dumps({"table": str(out), "operators": len(table.operators), **table.header}, indent=2))
        return
    console.print(f"{table.header['runtime']} on {table.device.name}: {TableSource(table).text()}", highlight=False)
    console.print(f"{len(table.operators)} operators: {STOPPED[table.header['probing']['stopped']]}", highlight=False)
    for warning in table.header["conditions"].get("warnings", []):
        console.print(f"warning: {warning}", style="yellow", highlight=False)
    console.print(f"table: {out}", soft_wrap=True, highlight=False)


def recheck(path: Path, device: str, as_json: bool, console: Console) -> bool:
    """Measures a few operators of a table again, keeps the verdict in its header and prints it. True unless it is stale."""
    from nas.latency.recheck import check_table, checked
    from nas.progress import Terminal

    table = LatencyTable.load(path)
    with Terminal(Console(stderr=True)) as progress, open_host(device, progress.say) as host:
        check, frame = check_table(table, host, progress)
    checked(table, check).save(path)
    if as_json:
        print(json.dumps({**asdict(check), "measured": frame.to_dict("records")}, indent=2))
        return check.verdict != "stale"
    console.print(
        f"{check.verdict}: {check.sentinels} operators take {np.expm1(check.drift):+.1%} of the time they took "
        f"(median; spread {check.spread:.1%})",
        highlight=False,
    )
    for line in (*check.changed, *check.warnings):
        console.print(line, highlight=False)
    return check.verdict != "stale"
