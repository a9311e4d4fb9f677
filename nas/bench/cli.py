"""`nas bench ...`: one thin function a claim."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nas.bench.calibration_cli import calibrate
from nas.bench.in_device_cli import in_device
from nas.bench.learning_curves_cli import learning_curves, train_curves
from nas.bench.predictors_cli import accuracy_predictor, latency_transfer, words
from nas.bench.proxies_cli import proxies
from nas.bench.recipes_cli import train_recipes
from nas.bench.search_cli import constraints, engine, search, searchers, steady
from nas.bench.throughput_cli import throughput
from nas.bench.timm_cli import timm_models
from nas.options import AsJson
from nas.progress import Progress, Terminal

app = typer.Typer(
    help="This project's claims, as commands that anyone can run.", no_args_is_help=True, rich_markup_mode=None
)

app.command()(accuracy_predictor)
app.command()(latency_transfer)
app.command()(in_device)
app.command()(timm_models)
app.command()(train_curves)
app.command()(learning_curves)
app.command()(train_recipes)
app.command()(throughput)
app.command()(calibrate)
app.command()(proxies)
app.command()(search)
app.command()(searchers)
app.command()(steady)
app.command()(engine)
app.command()(constraints)

Space = Annotated[str, typer.Option(help="search space, e.g. hybrid-vision or hybrid-vision/mobile")]
Seed = Annotated[int, typer.Option(min=0, help="of the random draws")]


def _report(bench: Callable[[Progress], dict[str, Any]], as_json: bool) -> dict[str, Any]:
    """Runs ``bench``; progress goes to standard error, so that standard output holds the result alone."""
    with Terminal(Console(stderr=True)) as progress:
        result = bench(progress)
    if as_json:
        print(json.dumps(result, indent=2))
        return result
    table = Table("figure", "value")
    for name, value in result.items():
        if not isinstance(value, list) or len(value) <= 3:
            table.add_row(name, f"{value:.3g}" if isinstance(value, float) else str(value))
        else:
            table.add_row(name, f"{len(value)} entries; --json shows them")
    Console().print(table)
    return result


@app.command()
def slices(
    space: Space = "hybrid-vision",
    count: Annotated[int, typer.Option(min=1, help="random architectures")] = 1000,
    onnx: Annotated[int, typer.Option(min=0, help="how many of them are exported and run in ONNX Runtime")] = 0,
    executorch: Annotated[int, typer.Option(min=0, help="how many of them are lowered and run in ExecuTorch")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="processes that convert")] = 1,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Subnet in the supernet == extracted network == ONNX export == ExecuTorch program, on random architectures."""
    from nas.bench.slices import bench_slices
    from nas.errors import JobError
    from search_spaces import get_space

    for option, value in (("--onnx", onnx), ("--executorch", executorch)):
        if value > count:
            raise JobError(f"{option}: got {value}; legal: at most --count ({count})")
    found = get_space(space)
    _report(
        lambda progress: bench_slices(found, count, onnx, seed, progress, executorch=executorch, workers=workers),
        as_json,
    )


@app.command()
def slicing_cost(
    space: Space = "hybrid-vision",
    count: Annotated[int, typer.Option(min=1, help="random architectures")] = 20,
    batch: Annotated[int, typer.Option(min=1, help="images a step")] = 64,
    threads: Annotated[int, typer.Option(min=1, help="PyTorch threads")] = 1,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Step time (forward and backward) of a subnet in the supernet over the same network extracted."""
    import torch

    from nas.bench.slicing_cost import bench_slicing_cost
    from search_spaces import get_space

    torch.set_num_threads(threads)
    _report(lambda progress: bench_slicing_cost(get_space(space), count, batch, seed, progress), as_json)


@app.command()
def cores(
    tokens: Annotated[list[int] | None, typer.Option(min=2, help="196 and 1024 unless given, once or often")] = None,
    batch: Annotated[int, typer.Option(min=1, help="sequences a pass")] = 1,
    repeats: Annotated[int, typer.Option(min=6, help="rounds in which every core runs once")] = 50,
    loop_repeats: Annotated[int, typer.Option(min=0, help="rounds in which the recurrences run too")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="PyTorch threads")] = 1,
    device: Annotated[str, typer.Option(help="cpu, or cuda (compiled cores, share of the card's limit)")] = "cpu",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Forward and backward of the linear mixers' cores over softmax attention and over their own recurrences."""
    import torch

    from nas.bench.cores import bench_cores

    torch.set_num_threads(threads)
    loops = min(loop_repeats, repeats)
    _report(lambda progress: bench_cores(tokens or [196, 1024], batch, repeats, loops, device, seed, progress), as_json)


@app.command()
def ranks(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a trained run directory")],
    count: Annotated[int, typer.Option(min=4, help="architectures to train alone")] = 24,
    seeds: Annotated[int, typer.Option(min=1, help="trainings of each")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="trainings at a time, one thread each if more than one")] = 1,
    as_json: AsJson = False,
) -> None:
    """Rank correlation of inherited accuracy with training each architecture alone by the same recipe."""
    from nas.bench.ranks import bench_ranks

    _report(lambda progress: bench_ranks(run, count, seeds, workers, progress), as_json)


@app.command()
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
    result = _report(lambda progress: bench_resume(job, out, kills, seed, progress, names), as_json)
    if result["different"]:
        raise typer.Exit(1)


@app.command()
def mutations(
    count: Annotated[int, typer.Option(min=1, help="wrong files")] = 200,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Wrong job and architecture files: each refused with a message that names the key, code 2, nothing written?"""
    from nas.bench.mutations import bench_mutations

    result = _report(lambda progress: bench_mutations(count, seed, progress), as_json)
    if result["bad"]:
        raise typer.Exit(1)


@app.command()
def operators(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="only these operators")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the table operator x item")] = None,
    workers: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    as_json: AsJson = False,
) -> None:
    """Every operator through every item of the contract; the table of outcomes."""
    from nas.bench.operators import bench_operators

    result = _report(lambda progress: bench_operators(out, names or [], progress, workers), as_json)
    if result["failures"] or result["untested"]:
        raise typer.Exit(1)


@app.command()
def recall(
    context: Annotated[int, typer.Option(help="tokens a sequence; a quarter of it is the most pairs")] = 64,
    mixer: Annotated[list[str] | None, typer.Option(help="mixer of the second layer; repeat for more")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="trainings of each")] = 3,
    steps: Annotated[int, typer.Option(min=20, help="of a training")] = 500,
    learning_rate: Annotated[float, typer.Option(min=1e-6, max=1.0, help="peak")] = 0.003,
    workers: Annotated[int, typer.Option(min=1, help="trainings at a time, one thread each")] = 2,
    as_json: AsJson = False,
) -> None:
    """Train small networks of one mixer each to recall values by their keys: what does a state of fixed size hold?"""
    from nas.bench.recall import MIXERS, bench_recall

    chosen = mixer or list(MIXERS)
    result = _report(
        lambda progress: bench_recall(context, chosen, seeds, steps, learning_rate, workers, progress), as_json
    )
    if not as_json:
        pairs = list(dict.fromkeys(row["pairs"] for row in result["rows"]))
        title = f"right answers on unseen sequences, mean ± std over {seeds} seed(s)"
        table = Table("mixer", "state", *(f"{count} pairs" for count in pairs), title=title)
        for name in dict.fromkeys(row["mixer"] for row in result["rows"]):
            rows = [row for row in result["rows"] if row["mixer"] == name]
            cells = [f"{row['accuracy']:.0%} ± {row['std']:.0%}" for row in rows]
            table.add_row(name, str(rows[0]["state"]), *cells)
        Console().print(table)


@app.command()
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
    _report(lambda progress: bench_evidence(run, out, command), as_json)


@app.command()
def tables(
    table: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="latency tables that `nas profile` measured")],
    out: Annotated[Path | None, typer.Option(help="folder for the figures as CSV and Markdown")] = None,
    as_json: AsJson = False,
) -> None:
    """How well tables predict networks they never saw, beside a plain sum, MACs, parameters and a random forest."""
    from hardware.table import LatencyTable
    from nas.bench.tables import write_comparison

    rows = write_comparison({path.name: LatencyTable.load(path) for path in table}, out)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    shown = Table("table", "method", "MAPE", "within 5 %", "within 10 %", "Spearman", "Kendall", "noise floor")
    for row in rows:
        percents = [f"{row[name]:.1%}" for name in ("mape", "within_5", "within_10")]
        ranks = [f"{row[name]:.3f}" for name in ("spearman", "kendall")]
        shown.add_row(row["table"], row["method"], *percents, *ranks, f"{row['noise_floor'] or 0:.1%}")
    Console().print(shown)


@app.command()
def link(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="this machine, described as a device reached by ssh")],
    space: Space = "hybrid-vision/tiny",
    operators: Annotated[int, typer.Option(min=1, help="operator specs to time both ways")] = 60,
    cuts: Annotated[int, typer.Option(min=0, help="how often the link is cut meanwhile")] = 20,
    folder: Annotated[Path, typer.Option(help="folder of the programs that run without ssh")] = Path("/tmp/nas-here"),
    as_json: AsJson = False,
) -> None:
    """Measure over an ssh link that is cut again and again: nothing finished is lost, and the latencies stay the same."""
    from nas.bench.link import bench_link
    from search_spaces import get_space

    found = get_space(space)
    _report(lambda progress: bench_link(found, device, str(folder), operators, cuts, progress), as_json)


@app.command()
def runtimes(
    out: Annotated[Path, typer.Option(help="folder of the study")],
    shapes: Annotated[
        list[str], typer.Option(help="input of the mixers, channels x height x width, e.g. 24x16x16; repeat for more")
    ],
    runtime: Annotated[
        list[str], typer.Option(help="and its precisions: onnxruntime, or onnxruntime:fp32,int8; repeat for more")
    ],
    space: Space = "hybrid-vision/full",
    workers: Annotated[int, typer.Option(min=1, help="processes that convert")] = 2,
    as_json: AsJson = False,
) -> None:
    """Every mixer at about equal work in every runtime: the fastest of each, why it changes, and what int8 gains."""
    from nas.bench.runtimes_study import study_runtimes
    from nas.errors import JobError
    from search_spaces import get_space

    sizes = []
    for text in shapes:
        if not all(part.isdigit() for part in text.split("x")):
            raise JobError(f"--shapes: got {text!r}; legal: numbers as in 24x16x16")
        sizes.append(tuple(map(int, text.split("x"))))
    asked = {}
    for text in runtime:
        name, _, precisions = text.partition(":")
        asked[name] = (precisions or "fp32").split(",")
    found = get_space(space)
    _report(lambda progress: study_runtimes(found, sizes, asked, workers, out, progress), as_json)
