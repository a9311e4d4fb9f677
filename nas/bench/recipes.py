"""Architectures and training recipes drawn together, each pair trained alone: what predictors of both learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.bench.ranks import choose_architectures, train_alone
from nas.data import load_data
from nas.errors import JobError
from nas.files import append_rows, read_rows
from nas.job import Job, TrainSection
from nas.progress import Progress
from nas.training.supernet import space_of
from nas.training.trainer import TrainingFailed

# genes of a recipe: what the job's own value is multiplied by
FACTORS: dict[str, tuple[float, ...]] = {
    "epochs": (0.25, 0.5, 1),
    "learning_rate": (0.1, 0.3, 1, 3),
    "weight_decay": (0.1, 1, 10),
    "label_smoothing": (0, 1),
    "augment": (0, 1),
}


def train_recipes(job: Job, count: int, out: Path, progress: Progress) -> int:
    """Trains ``count`` pairs of an architecture and a recipe, and writes a row for each: the genes of the architecture by
    their names (indices of their values), the recipe (`FACTORS`), and the metric on the search split, larger ones better
    (bits per byte are negated); nothing where the training failed.

    Architectures are spread over operator families and MACs; every value of a gene of the recipe comes equally often, and
    is drawn apart from the others (a Latin hypercube; McKay et al., 1979). Pairs come in random order, so that the first
    ones of a file are a sample too. Rows that the file has are kept. Returns how many it has then.

    Raises:
        JobError: the file holds something else, or pairs that are not those of this job and count.
    """
    if out.exists() and not out.is_file():
        raise JobError(f"--out: {out} is a folder; legal: a CSV file, new or of the same job")
    torch.set_num_threads(job.threads)
    data = load_data(job.data)
    space = space_of(job, data)
    architectures = choose_architectures(space, count, job.seed)
    rng = np.random.default_rng([job.seed, 9])
    recipes = draw_recipes(job.train, len(architectures), rng)
    pairs = [(architectures[i], recipes[i]) for i in rng.permutation(len(architectures))]
    names = [choice.name for choice in space.choices]
    genes = space.matrix([architecture for architecture, _ in pairs])
    facts = [
        {**dict(zip(names, map(int, row), strict=True)), **{gene: getattr(recipe, gene) for gene in FACTORS}}
        for row, (_, recipe) in zip(genes, pairs, strict=True)
    ]
    done = len(_kept(out, facts, data.metric.name))
    advance = progress.task("train alone", len(pairs))
    advance(done)
    for number, (architecture, recipe) in enumerate(pairs[done:], done):
        try:
            value = repr(train_alone(job.model_copy(update={"train": recipe}), data, architecture, job.seed))
        except TrainingFailed:
            value = ""
        append_rows(out, [{**facts[number], data.metric.name: value}])
        advance(number + 1)
    return len(pairs)


def draw_recipes(own: TrainSection, count: int, rng: np.random.Generator) -> list[TrainSection]:
    """``count`` variants of the job's ``own`` recipe. The warm-up keeps its share of the epochs."""
    levels = {gene: rng.permutation(np.arange(count) % len(factors)) for gene, factors in FACTORS.items()}
    found = []
    for number in range(count):
        factor = {gene: factors[levels[gene][number]] for gene, factors in FACTORS.items()}
        epochs = max(1, round(own.epochs * factor["epochs"]))
        given: dict[str, Any] = {
            **{gene: float(f"{getattr(own, gene) * factor[gene]:.6g}") for gene in FACTORS},
            "epochs": epochs,
            "warmup_epochs": own.warmup_epochs * epochs / own.epochs,
            "augment": own.augment and bool(factor["augment"]),
        }
        found.append(TrainSection.model_validate({**own.model_dump(), **given}))
    return found


def _kept(out: Path, facts: list[dict[str, Any]], metric: str) -> list[dict[str, str]]:
    """The rows of the file, which are the first ones of ``facts``. JobError if they are not."""
    rows = read_rows(out)
    if rows and list(rows[0]) != [*facts[0], metric]:
        raise JobError(f"--out: {out} has other columns than this job's; legal: a new file, or one of the same job")
    for number, (row, wanted) in enumerate(zip(rows, facts, strict=False), 1):
        if any(row[name] != str(value) for name, value in wanted.items()):
            raise JobError(f"--out: {out}: row {number} is of another job or --count; legal: a new file, or the same")
    if len(rows) > len(facts):
        raise JobError(f"--out: {out} has {len(rows)} rows; legal: at most --count ({len(facts)})")
    return rows
