"""Learning curves of architectures trained alone, a value an epoch: what extrapolation is judged on."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from nas.bench.ranks import choose_architectures
from nas.data import Data, load_data
from nas.errors import JobError
from nas.files import append_rows, read_rows
from nas.job import Job
from nas.progress import Progress
from nas.training import PlainStep, Recipe, Trainer
from nas.training.evaluate import evaluate, first
from nas.training.supernet import space_of
from search_spaces import Architecture, build_network

COLUMNS = ("curve", "epoch", "value")  # of the files; and the genes, for what else one may ask of a curve


def train_curves(job: Job, count: int, out: Path, progress: Progress) -> int:
    """Trains ``count`` architectures alone by the job's recipe, and writes what each scores on the search split after every
    epoch: columns `COLUMNS` and genes. Curves that the file has are kept. Returns how many it has then.

    Raises:
        JobError: the file holds something else, or curves of other architectures.
    """
    if out.exists() and not out.is_file():
        raise JobError(f"--out: {out} is a folder; legal: a CSV file, new or of the same job")
    torch.set_num_threads(job.threads)
    data = load_data(job.data)
    architectures = choose_architectures(space_of(job, data), count, job.seed)
    rows = read_rows(out)
    if rows and list(rows[0]) != [*COLUMNS, "genes"]:
        raise JobError(
            f"--out: {out} has the columns {', '.join(rows[0])}; legal: a new file, or curves of the same job"
        )
    lengths: dict[str, int] = {}
    for row in rows:
        lengths[row["curve"]] = lengths.get(row["curve"], 0) + 1
    if wrong := [name for name, length in lengths.items() if length != job.train.epochs]:
        raise JobError(
            f"--out: {out}: {wrong[0]} has {lengths[wrong[0]]} epochs; legal: {job.train.epochs}, as in the job"
        )
    left = [one for one in architectures if one.hash not in lengths]
    advance = progress.task("train alone", len(architectures))
    for number, architecture in enumerate(left, len(architectures) - len(left) + 1):
        values = curve_of(job, data, architecture)
        genes = json.dumps(architecture.values, separators=(",", ":"))
        append_rows(
            out,
            [
                {"curve": architecture.hash, "epoch": epoch, "value": repr(value), "genes": genes if epoch == 1 else ""}
                for epoch, value in enumerate(values, 1)
            ],
        )
        advance(number)
    return len(lengths.keys() | {one.hash for one in left})


def curve_of(job: Job, data: Data, architecture: Architecture) -> list[float]:
    """The metric on the search split after each epoch of training one architecture from scratch."""
    torch.manual_seed(1000 + job.seed)
    network = build_network(architecture)
    extent, judged = architecture.input_shape[-1], first(data.search, job.search.images)
    recipe = Recipe(job.train, data, 1000 + job.seed)
    values: dict[int, float] = {}  # a rollback trains an epoch again

    def after(step: int, steps: int, metrics: dict[str, float]) -> None:
        if step % recipe.epoch_steps == 0:
            network.eval()
            values[step] = evaluate(network, judged, data, extent).value
            network.train()

    Trainer(network, PlainStep(network, extent, data, job.train.label_smoothing), recipe).run(after)
    return [values[step] for step in sorted(values)]
