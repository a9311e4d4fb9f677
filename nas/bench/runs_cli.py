"""`nas bench resume`, `mutations` and `evidence`: claims on whole runs, and a run as a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.bench.predictors_cli import words
from nas.bench.show import Seed, show
from nas.options import AsJson


def resume(
    job: Annotated[str, typer.Argument(metavar="JOB", help="a job whose devices all give a latency table")],
    out: Annotated[Path, typer.Option(help="folder for the runs")],
    kills: Annotated[int, typer.Option(min=1, help="kills in all")] = 10,
    searchers: Annotated[str, typer.Option(help="kill the searches alone, by these searchers: a,b,c")] = "",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Kill runs at random moments and resume them: the same front, byte for byte, as an undisturbed run?"""
    from nas.bench.resume import bench_resume

    names = words(searchers)
    result = show(lambda progress: bench_resume(job, out, kills, seed, progress, names), as_json)
    if result["different"]:
        raise typer.Exit(1)


def mutations(
    count: Annotated[int, typer.Option(min=1, help="wrong files")] = 200,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Wrong job and architecture files: each refused with a message that names the key, code 2, nothing written?"""
    from nas.bench.mutations import bench_mutations

    result = show(lambda progress: bench_mutations(count, seed, progress), as_json)
    if result["bad"]:
        raise typer.Exit(1)


def evidence(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a finished run directory")],
    out: Annotated[Path, typer.Option(help="folder of the study, e.g. results/my-study")],
    as_json: AsJson = False,
) -> None:
    """Write a finished run as a study: CSV files, a picture, a README with the figures and the command that remakes it."""
    from nas.bench.evidence import bench_evidence
    from nas.run import RunDirectory

    with RunDirectory.open(run, read_only=True) as opened:
        job = opened.job.name
    command = f"nas run {job} && nas bench evidence {run} --out {out}"
    show(lambda progress: bench_evidence(run, out, command), as_json)
