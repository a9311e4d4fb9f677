"""Inherited quality of one architecture: what it scores on the search split with the supernet's weights, and who says so."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from nas.data import Data, load_data
from nas.job import Job
from nas.metric import Score
from nas.training.evaluate import calibrate, evaluate, first, one_thread
from nas.training.supernet import space_of
from search_spaces import Architecture, Network, Supernet


class Task(NamedTuple):
    """One evaluation: the genes of an architecture, and on how many examples of the search split (None: the job's)."""

    genes: tuple[int, ...]
    examples: int | None = None


class Parcel(NamedTuple):
    """What a machine without the run needs for evaluations: the job as plain values, and the supernet's weights."""

    job: dict[str, Any]
    weights: dict[str, np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """Scores architectures; the number does not depend on the machine's cores, nor on what else is scored.

    Attributes:
        job: its search section says how many examples score and calibrate.
        supernet: in evaluation mode.
        data: its ``search`` split scores, its ``train`` split calibrates.
    """

    job: Job
    supernet: Supernet
    data: Data

    def score(self, task: Task) -> float:
        """The metric with inherited weights, on one thread."""
        return self.measured(task).value

    def measured(self, task: Task) -> Score:
        """The same with its deviation over the examples."""
        architecture = self.supernet.space.architecture(np.array(task.genes))
        network = inherit(self.supernet, architecture, self.data, self.job.search.calibration_images)
        split = first(self.data.search, task.examples or self.job.search.images)
        with one_thread():
            return evaluate(network, split, self.data, architecture.input_shape[-1])

    @property
    def examples(self) -> int:
        """Of the search split, that a whole evaluation looks at."""
        return len(first(self.data.search, self.job.search.images).labels)

    @property
    def on_cpu(self) -> bool:
        """Whether the supernet is on the CPU, so that processes of one thread each can share the work."""
        return next(self.supernet.parameters()).device.type == "cpu"

    def pack(self) -> Parcel:
        """This evaluation for another machine, where `unpack` makes it anew; the data is read there."""
        weights = {name: tensor.cpu().numpy() for name, tensor in self.supernet.state_dict().items()}
        return Parcel(self.job.to_dict(), weights)

    @classmethod
    def unpack(cls, parcel: Parcel) -> Evaluation:
        """The evaluation of a parcel, on the CPU. JobError where the job's data cannot be read on this machine."""
        from nas.job_file import parse_job

        job = parse_job(parcel.job)
        data = load_data(job.data)
        supernet = Supernet(space_of(job, data), seed=job.seed)
        supernet.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in parcel.weights.items()})
        return cls(job, supernet.eval(), data)


class Workers(ABC):
    """Scores architectures, several at once. A context manager."""

    @abstractmethod
    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        """Every task with its score, as they are done. A task is drawn from ``tasks`` only when a worker is free for it."""

    def close(self) -> None:
        """Stop what was started."""
        return

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def inherit(supernet: Supernet, architecture: Architecture, data: Data, calibration_images: int) -> Network:
    """``architecture`` as a network of its own with the supernet's weights, batch norm calibrated, ready to use."""
    network = supernet.extract(architecture).eval()
    with one_thread():  # so that the statistics do not depend on the machine's number of cores
        calibrate(network, data, architecture.input_shape[-1], calibration_images)
    return network
