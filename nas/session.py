"""A run being worked on: what its steps share, and the files that one step leaves for another."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from nas.data import Data, load_data
from nas.errors import JobError
from nas.job import DeviceSection, Job
from nas.latency.source import LatencySource, open_source
from nas.progress import Progress
from nas.resources import ALONE, Resources
from nas.run import RunDirectory
from nas.search.evaluation import Evaluation
from nas.search.evaluator import InheritedQuality
from nas.search.trials import JOURNAL, Trials, study_name
from nas.search.workers import open_workers
from nas.training.supernet import space_of, train_supernet
from predictors.latency import LatencyModel
from search_spaces import SearchSpace, Supernet


@dataclass
class Session:
    """A run being worked on: the directory, and what its steps share, loaded when first needed."""

    run: RunDirectory
    progress: Progress
    resources: Resources = ALONE
    _predictors: dict[str, LatencyModel] = field(default_factory=dict)

    @property
    def job(self) -> Job:
        """The run's job."""
        return self.run.job

    @cached_property
    def data(self) -> Data:
        """The job's data."""
        return load_data(self.job.data)

    @cached_property
    def space(self) -> SearchSpace:
        """The job's search space, for its data."""
        return space_of(self.job, self.data)

    @cached_property
    def supernet(self) -> Supernet:
        """The trained supernet; trains it if that is not done."""
        return train_supernet(self.run, self.data, self.progress)

    @cached_property
    def evaluation(self) -> Evaluation:
        """What an architecture scores with the weights of the supernet."""
        return Evaluation(self.job, self.supernet, self.data)

    def trials(self) -> Trials:
        """The study of the run's evaluations: in a journal of the run, or in the storage that the resources name."""
        storage = self.resources.storage or str(self.run.file(JOURNAL))
        latencies = {d.name: self.predictor(d).ms for d in self.job.devices}
        name = study_name(self.run)
        return Trials(storage, name, self.space, self.data.metric, latencies, self.progress.say)

    def evaluator(self) -> InheritedQuality:
        """`evaluate` of the run's searches, with the workers and the storage that the resources name: to be used in a with."""
        evaluation = self.evaluation  # which trains the supernet, if that is not done
        trials = self.trials()
        return InheritedQuality(self.run, evaluation, open_workers(self.resources, evaluation, self.run.path), trials)

    def source(self, device: DeviceSection) -> LatencySource:
        """The latency table of ``device``, or its calibration; `profile` must have been run."""
        return open_source(self.run.file(table_folder(device)))

    def predictor(self, device: DeviceSection) -> LatencyModel:
        """The latency predictor of ``device``."""
        if device.name not in self._predictors:
            self._predictors[device.name] = self.source(device).predictor(self.space)
        return self._predictors[device.name]


def table_folder(device: DeviceSection) -> Path:
    """Where a run keeps the latency table of ``device``, or its calibration."""
    return Path("tables") / device.name


def write_front(run: RunDirectory, device: DeviceSection, front: pd.DataFrame) -> None:
    """The front as ``front-<device>.csv`` and ``.parquet``."""
    run.write_csv(f"front-{device.name}.csv", front)
    run.write_parquet(f"front-{device.name}.parquet", front)


def read_front(run: RunDirectory, device: DeviceSection) -> pd.DataFrame:
    """The front of ``device`` as it was written. Raises JobError if there is none yet."""
    if not run.file(f"front-{device.name}.parquet").exists():
        raise JobError(f"run {run.path}: has no front for {device.name} yet; `nas search` makes it")
    return pd.read_parquet(run.file(f"front-{device.name}.parquet"))
