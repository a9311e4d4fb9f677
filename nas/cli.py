"""The `nas` command: one thin function a command. User mistakes end with one message and exit code 2, never a traceback."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nas.bench.cli import app as bench_app
from nas.catalogue.cli import check_operator, operators, spaces_app
from nas.importance.cli import importance
from nas.latency.cli import devices_app, latency, profile
from nas.options import AsJson
from nas.proxies.cli import proxies
from nas.resources import ALONE, Resources

app = typer.Typer(
    name="nas",
    help="Neural architecture search over hybrid conv / attention / state-space spaces, for the devices you have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(bench_app, name="bench")
app.add_typer(spaces_app, name="spaces")
app.add_typer(devices_app, name="devices")
app.command()(operators)
app.command()(check_operator)
app.command()(profile)
app.command()(latency)
app.command()(proxies)
app.command()(importance)

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="a packaged job (quickstart, fashion-mnist) or a file")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="a run directory, made by `nas run`")]
Out = Annotated[Path | None, typer.Option("--out", help="run directory; default results/runs/<job name>")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print the plan and its estimated cost, do nothing")]
PICKS = "knee, fastest, best, goal, or a latency such as 5ms"
WorkerCount = Annotated[
    int | None, typer.Option("--workers", min=1, max=4096, help="processes that evaluate; default: the job's threads")
]
RayAddress = Annotated[
    str | None, typer.Option("--ray", help="evaluate on the Ray cluster at this address; local: on one started here")
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage", help="Optuna storage of the trials, a URL or a file; default: a journal in the run directory"
    ),
]


def _run(job: str, out: Path | None, until: str, dry_run: bool = False, resources: Resources = ALONE) -> None:
    from nas.job_file import load_job
    from nas.run import default_run_path

    loaded = load_job(job)
    folder = out or default_run_path(loaded)
    console = Console()
    if dry_run:
        from nas.plan import estimate, plan_table

        console.print(plan_table(loaded, folder, estimate(loaded)))
        return
    from nas.pipeline import run_job
    from nas.progress import Terminal

    with Terminal(console) as progress:
        run_job(loaded, folder, progress, until, resources)
    if until in ("report", "export"):
        _show_fronts(folder, console)
        console.print(f"report: {folder / 'report.html'}", soft_wrap=True, highlight=False)


def _show_fronts(folder: Path, console: Console) -> None:
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


@app.command()
def run(
    job: JobArgument,
    out: Out = None,
    dry_run: DryRun = False,
    workers: WorkerCount = None,
    ray: RayAddress = None,
    storage: Storage = None,
) -> None:
    """Do everything: profile the devices, train the supernet once, search, report, export. Goes on where it stopped."""
    _run(job, out, "export", dry_run, Resources(workers, ray, storage))


@app.command()
def train(job: JobArgument, out: Out = None) -> None:
    """Profile the devices and train the job's supernet; a later `nas run` goes on from there."""
    _run(job, out, "train")


@app.command()
def search(
    job: JobArgument,
    out: Out = None,
    workers: WorkerCount = None,
    ray: RayAddress = None,
    storage: Storage = None,
) -> None:
    """Search every device of the job (training the supernet first, if that is not done).

    Every evaluation is a trial of an Optuna study; `nas worker` evaluates for it, here and on other machines.
    """
    _run(job, out, "search", resources=Resources(workers, ray, storage))


@app.command()
def worker(run: RunArgument, storage: Storage = None) -> None:
    """Evaluate for a search that runs elsewhere, on one thread, until it is over. RUN may be a copy of its directory."""
    from nas.progress import Terminal
    from nas.search.worker import work

    console = Console()
    with Terminal(console) as progress:
        done = work(run, storage, progress)
    console.print(f"the search is over; evaluated here: {done}")


@app.command()
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


@app.command()
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


@app.command()
def export(
    run: RunArgument,
    member: Annotated[
        str | None, typer.Option("--hash", help="first digits of a front member's hash; `nas front` lists them")
    ] = None,
    pick: Annotated[str | None, typer.Option(help=f"instead of a hash: {PICKS}; see `nas front`")] = None,
    device: Annotated[str | None, typer.Option(help="only on this device's front")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the package; default <hash> here")] = None,
) -> None:
    """Export a front member as a stand-alone package, proved equal to what was searched."""
    from nas.errors import JobError
    from nas.export.step import export_member, find_member, pick_member
    from nas.progress import Terminal
    from nas.run import RunDirectory
    from nas.search.picks import Pick
    from nas.session import Session

    if (member is None) == (pick is None):
        raise JobError(f"export: got {'both' if pick else 'neither'} --hash and --pick; legal: one of the two")
    chosen = None if pick is None else Pick.parse(pick)
    console = Console()
    with RunDirectory.open(run, read_only=True) as opened, Terminal(console) as progress:
        import torch

        torch.set_num_threads(opened.job.threads)
        session = Session(opened, progress)
        found = pick_member(session, chosen, device) if chosen else find_member(session, member or "", device)
        section, row = found
        folder = out or Path(row["hash"])
        manifest = export_member(session, section, row, folder)
    for name, figures in manifest["parity"].items():
        console.print(
            f"{name}: largest difference {figures['max_relative']:.2g} relative on {figures['images']} images"
        )
    console.print(f"package: {folder}", soft_wrap=True, highlight=False)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is installed and what works, by trying it."""
    from nas.latency.devices import print_doctor

    if not print_doctor(as_json, Console()):
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> int:
    """Entry point. Exit code 0: done; 1: it failed; 2: the user's mistake; 130: stopped with Ctrl-C."""
    # Before PyTorch is imported: threads that spin while they wait bring training almost to a halt as soon as anything else
    # runs (beside one busy process, two threads, two cores: 1 step in four minutes; waiting passively 42 in one).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    errors = Console(stderr=True)
    try:
        result = app(args=arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        errors.print("stopped; the same command goes on from here", style="yellow")
        return 130
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()  # a usage error of the command line: it prints itself
            return int(error.exit_code)
        if not isinstance(error, _mistakes()):
            raise
        errors.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2


def _mistakes() -> tuple[type[Exception], ...]:
    """What stands for a user's mistake; imported late, as it brings PyTorch with it, which `nas --help` does without."""
    from hardware.errors import HardwareError
    from nas.errors import JobError
    from predictors.errors import PredictorError
    from search_spaces.errors import SpaceError

    return JobError, SpaceError, HardwareError, PredictorError


if __name__ == "__main__":
    sys.exit(main())
