"""Where architectures are scored: in this process, or in processes of one thread each. On a Ray cluster: `ray_workers`."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import torch

from nas.data import load_data
from nas.errors import JobError
from nas.progress import Silent
from nas.resources import Resources
from nas.run import RunDirectory
from nas.search.evaluation import Evaluation, Task, Workers
from nas.search.trials import open_storage
from nas.training.supernet import train_supernet


class Here(Workers):
    """This process, one after the other."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        """See `Workers.scores`."""
        return ((task, self._evaluation.score(task)) for task in tasks)


class Processes(Workers):
    """``count`` processes of one thread each, started when first needed. They read the weights from the run directory.

    A process that dies costs the evaluations that were running: they are done again. JobError where that happens twice in
    a row without a score in between.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder.absolute(), count
        self._pool: ProcessPoolExecutor | None = None

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        """See `Workers.scores`."""
        source, losses = iter(tasks), 0
        again: list[Task] = []
        running: dict[Future[float], Task] = {}
        while True:
            while len(running) < self._count and (task := again.pop() if again else next(source, None)) is not None:
                running[self._submit(task)] = task
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(_lost(future) for future in done):
                done, _ = wait(running)  # one dead process ends them all
                self.close()
            for future in done:
                task = running.pop(future)
                if _lost(future):
                    again.append(task)
                else:
                    losses = 0
                    yield task, future.result()
            losses += bool(again)
            if losses > 1:
                raise JobError(
                    f"workers: a process died twice while it evaluated genes {list(again[0].genes)}; is the memory enough "
                    f"for {self._count} at once? Legal: fewer (--workers)"
                )

    def _submit(self, task: Task) -> Future[float]:
        try:
            return self._start().submit(_score, task)
        except BrokenProcessPool as error:
            lost: Future[float] = Future()
            lost.set_exception(error)
            return lost

    def _start(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = get_context("spawn")  # a fork would copy OpenMP's locks in whatever state they are
            self._pool = ProcessPoolExecutor(self._count, context, _start_worker, (self._folder,))
        return self._pool

    def close(self) -> None:
        """See `Workers.close`."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


_worker: Evaluation  # of a worker process: set once, when it starts


def _start_worker(folder: Path) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the parent, which stops its workers
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # Linux: die with the parent, also when it is killed
    torch.set_num_threads(1)
    _worker = evaluation_of(folder)


def _lost(future: Future[float]) -> bool:
    return isinstance(future.exception(), BrokenProcessPool)


def _score(task: Task) -> float:
    return _worker.score(task)


def evaluation_of(folder: Path) -> Evaluation:
    """The evaluation of the run in ``folder``, whose supernet is trained. JobError where it is not."""
    run = RunDirectory.open(folder, read_only=True)
    if not run.step_done("train"):
        raise JobError(f"run {folder}: its supernet is not trained yet; `nas train` does that")
    data = load_data(run.job.data)
    return Evaluation(run.job, train_supernet(run, data, Silent()), data)


def check_resources(resources: Resources) -> None:
    """JobError for a storage or a cluster that is not there: before any work, where a search needs them only later."""
    if resources.storage is not None:
        open_storage(resources.storage)
    if resources.ray is not None:
        from nas.search.ray_workers import check

        check(resources.ray)


def open_workers(resources: Resources, evaluation: Evaluation, folder: Path) -> Workers:
    """The workers that ``resources`` ask for; on a GPU without a cluster, this process."""
    if resources.ray is not None:
        from nas.search.ray_workers import RayWorkers

        return RayWorkers(evaluation, resources.ray)
    count = resources.workers or evaluation.job.threads
    return Processes(folder, count) if count > 1 and evaluation.on_cpu else Here(evaluation)
