"""The training step of a run: one supernet, trained once, kept as safetensors."""

from __future__ import annotations

import pandas as pd
import torch

from nas.data import Data
from nas.job import Job
from nas.job_checks import space_definition
from nas.progress import Progress
from nas.run import RunDirectory
from nas.training.checkpoint import RunStore
from nas.training.recipe import Recipe
from nas.training.sampler import SandwichSampler
from nas.training.steps import SandwichStep
from nas.training.trainer import Trainer
from search_spaces import SearchSpace, Supernet, make_space

WEIGHTS, LOG, CHECKPOINT = "train/supernet.safetensors", "train/log.csv", "train/checkpoint.safetensors"


def space_of(job: Job, data: Data) -> SearchSpace:
    """The job's search space for the inputs and answers of ``data``.

    Raises:
        JobError: the data has no inputs of an extent that the space may choose.
    """
    space = make_space({**space_definition(job), **data.space_keys})
    data.check_extents(space.choices[0].values)
    return space


def training_device() -> str:
    """A GPU where PyTorch sees one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def train_supernet(run: RunDirectory, data: Data, progress: Progress) -> Supernet:
    """The run's supernet in evaluation mode: trained now, resumed from its last checkpoint, or read if it is done."""
    job = run.job
    supernet = Supernet(space_of(job, data), seed=job.seed).to(training_device())
    if run.step_done("train"):
        tensors, _ = run.read_tensors(WEIGHTS)
        supernet.load_state_dict(tensors)
        return supernet.eval()
    sampler = SandwichSampler(supernet.space, job.train.subnets, job.seed)
    step = SandwichStep(supernet, sampler, data, job.train.label_smoothing)
    recipe = Recipe(job.train, data, job.seed, training_device())
    trainer = Trainer(supernet, step, recipe, RunStore(run, CHECKPOINT), job.train.checkpoint_steps)
    advance, metric = progress.task("train supernet", recipe.steps), data.metric
    trainer.run(
        lambda done, _, metrics: advance(
            done,
            f"loss {metrics['loss']:.3f}, {metric.title} of the smallest {metric.text(metrics[f'smallest_{metric.name}'])}",
        )
    )
    run.write_csv(LOG, pd.DataFrame(trainer.log))
    run.write_tensors(WEIGHTS, supernet.state_dict())
    run.mark_done("train", seconds=round(trainer.seconds, 1), steps=recipe.steps, rollbacks=trainer.rollbacks)
    run.file(CHECKPOINT).unlink(missing_ok=True)
    return supernet
