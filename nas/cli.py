"""The `nas` command: one thin function a command. User mistakes end with one message and exit code 2, never a traceback."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nas.bench.cli import app as bench_app
from nas.catalogue.cli import check_operator, operators, spaces_app
from nas.export.cli import export
from nas.importance.cli import importance
from nas.latency.cli import devices_app, latency, profile
from nas.options import AsJson, RunArgument
from nas.proxies.cli import proxies
from nas.report.cli import front, report, show_fronts
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

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="a packaged job (quickstart, fashion-mnist) or a file")]
Out = Annotated[Path | None, typer.Option("--out", help="run directory; default results/runs/<job name>")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print the plan and its estimated cost, do nothing")]
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
        show_fronts(folder, console)
        console.print(f"report: {folder / 'report.html'}", soft_wrap=True, highlight=False)


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


def train(job: JobArgument, out: Out = None) -> None:
    """Profile the devices and train the job's supernet; a later `nas run` goes on from there."""
    _run(job, out, "train")


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


def worker(run: RunArgument, storage: Storage = None) -> None:
    """Evaluate for a search that runs elsewhere, on one thread, until it is over. RUN may be a copy of its directory."""
    from nas.progress import Terminal
    from nas.search.worker import work

    console = Console()
    with Terminal(console) as progress:
        done = work(run, storage, progress)
    console.print(f"the search is over; evaluated here: {done}")


def doctor(as_json: AsJson = False) -> None:
    """Say what is installed and what works, by trying it."""
    from nas.latency.devices import print_doctor

    if not print_doctor(as_json, Console()):
        raise typer.Exit(1)


OF_A_RUN = (run, train, search, worker, report, front, export)
OF_ARCHITECTURES = (profile, latency, proxies, importance, operators, check_operator)
for command in (*OF_A_RUN, *OF_ARCHITECTURES, doctor):
    app.command()(command)


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
