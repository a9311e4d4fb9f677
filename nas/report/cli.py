"""`nas report` and `nas front`: what a run found, as a page or in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nas.options import PICKS, AsJson, RunArgument


def report(run: RunArgument) -> None:
    """Write report.html of a searched run anew, testing the front's members if that is not done."""
    from nas.pipeline import run_job
    from nas.progress import Terminal
    from nas.run import RunDirectory
    from nas.session import read_front

    with RunDirectory.open(run, read_only=True) as opened:
        job = opened.job
        for device in job.devices:
            read_front(opened, device)  # there is something to report
    console = Console()
    with Terminal(console) as progress:
        run_job(job, run, progress, "report")
    console.print(f"report: {run / 'report.html'}", soft_wrap=True, highlight=False)


def front(
    run: RunArgument,
    device: Annotated[str | None, typer.Option(help="only this device of the job")] = None,
    pick: Annotated[str | None, typer.Option(help=f"only these members of each device's front: knees, {PICKS}")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the Pareto front of a run, device by device; or the members that are picked.

    Picks are by predicted latency and quality on the search split. knee: the best trade between the two; knees: that and the
    others that the front has; best: the highest quality; goal: the highest after what latency above the goal costs; 5ms: the
    best that takes no longer.
    """
    import json

    import pandas as pd

    from nas.report.tables import front_table
    from nas.search.front import TOGETHER
    from nas.search.picks import Pick

    chosen = None if pick is None else Pick.parse(pick)
    parts = _device_reports(run, device)
    picked = [None if chosen is None else chosen.of(part.members, part.metric, part.name) for part in parts]
    file = run / TOGETHER
    together = None
    if file.exists() and device is None and chosen is None:
        together = pd.read_csv(file, dtype={"hash": str})
    if not as_json:
        for part, members in zip(parts, picked, strict=True):
            Console().print(front_table(part, members))
        if together is not None:
            from nas.metric import METRICS
            from nas.report.tables import together_table

            metric = next(metric for name, metric in METRICS.items() if name in together.columns)
            Console().print(together_table(together, metric))
        return
    shown = [part.members if members is None else members for part, members in zip(parts, picked, strict=True)]
    fronts = {
        part.name: json.loads(members.to_json(orient="records")) for part, members in zip(parts, shown, strict=True)
    }
    if together is not None:
        fronts["together"] = json.loads(together.to_json(orient="records"))
    print(json.dumps(fronts, indent=2))


def show_fronts(folder: Path, console: Console) -> None:
    """Prints the front of every device of the run in ``folder``."""
    from nas.report.tables import front_table

    for part in _device_reports(folder, None):
        console.print(front_table(part))


def _device_reports(folder: Path, device: str | None) -> list[Any]:
    from nas.errors import JobError
    from nas.progress import Silent
    from nas.report.step import device_report
    from nas.run import RunDirectory
    from nas.session import Session

    with RunDirectory.open(folder, read_only=True) as run:
        devices = [d for d in run.job.devices if device in (None, d.name)]
        if not devices:
            raise JobError(f"--device: got {device!r}; legal: {', '.join(d.name for d in run.job.devices)}")
        session = Session(run, Silent())
        return [device_report(session, d) for d in devices]
