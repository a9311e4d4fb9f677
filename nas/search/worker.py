"""`nas worker`: evaluates for a search that runs elsewhere, through the storage of its trials."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from nas.errors import JobError
from nas.progress import Progress
from nas.resources import Resources
from nas.run import RunDirectory
from nas.search.evaluation import Task
from nas.session import Session

POLL_SECONDS = 0.5


def work(folder: Path, storage: str | None, progress: Progress) -> int:
    """Evaluates what the run's search offers until that search is over; how many evaluations that were.

    One thread; several workers may run side by side, here and on other machines. The weights and the tables come from
    ``folder``, the run or a copy of it.

    Raises:
        JobError: the folder is no run with a trained supernet and tables, or the storage cannot be opened.
    """
    torch.set_num_threads(1)
    with RunDirectory.open(folder, read_only=True) as run:
        missing = [
            step for step in ("train", *(f"profile:{d.name}" for d in run.job.devices)) if not run.step_done(step)
        ]
        if missing:
            raise JobError(f"run {folder}: has not done {', '.join(missing)} yet; `nas train` does that")
        session = Session(run, progress, Resources(storage=storage))
        evaluation, trials, metric, done = session.evaluation, session.trials(), session.data.metric, 0
        progress.say(f"waiting for what the search of {run.job.name} offers")
        while not trials.finished:
            architecture = trials.take()
            if architecture is None:
                time.sleep(POLL_SECONDS)
                continue
            began = time.perf_counter()
            value = evaluation.score(Task(architecture.genes))
            trials.tell({architecture: value})
            done += 1
            seconds = time.perf_counter() - began
            progress.say(f"{architecture.hash}: {metric.title} {metric.text(value)}, {seconds:.1f} s")
    return done
