"""Inherited quality: what a subnet scores on the search split with the supernet's weights, each architecture once."""

from __future__ import annotations

import ctypes
import signal
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from nas.data import Data, load_data
from nas.progress import Silent
from nas.run import RunDirectory
from nas.training.evaluate import calibrate, evaluate, first, one_thread
from nas.training.supernet import train_supernet
from search_spaces import Architecture, Network, Supernet

CACHE = "search/evaluations.csv"


def inherit(supernet: Supernet, architecture: Architecture, data: Data, calibration_images: int) -> Network:
    """``architecture`` as a network of its own with the supernet's weights, batch norm calibrated, ready to use."""
    network = supernet.extract(architecture).eval()
    with one_thread():  # so that the statistics do not depend on the machine's number of cores
        calibrate(network, data, architecture.input_shape[-1], calibration_images)
    return network


class InheritedQuality:
    """``evaluate`` for `nas.search.run_search`: rows ``(n, G)`` -> qualities ``(n,)``, of which more is better.

    Every answer is appended to the run's ``search/evaluations.csv`` before it is used, so no network is scored twice,
    neither by another searcher, seed or device nor after a kill. On the CPU ``job.threads`` worker processes of one thread
    each share the work, and a network's score does not depend on how many there are. A context manager.

    Args:
        run: a run whose supernet is trained; holds the cache.
        supernet: in evaluation mode.
        data: its ``search`` split scores (the job's number of examples), its ``train`` split calibrates.
    """

    def __init__(self, run: RunDirectory, supernet: Supernet, data: Data) -> None:
        self._run, self._supernet, self._data = run, supernet, data
        self._metric = data.metric
        self._known = {row["hash"]: float(row[self._metric.name]) for row in run.read_rows(CACHE)}
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> InheritedQuality:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        architectures = [self._supernet.space.architecture(row) for row in rows]
        unknown = list({a.hash: a for a in architectures if a.hash not in self._known}.values())
        scores = self._in_workers(unknown) if len(unknown) > 1 and self._workers > 1 else map(self._here, unknown)
        for architecture, value in zip(unknown, scores, strict=True):
            self._run.append_rows(CACHE, [{"hash": architecture.hash, self._metric.name: repr(value)}])
            self._known[architecture.hash] = value
        return self._metric.oriented(np.array([self._known[a.hash] for a in architectures]))

    @property
    def _workers(self) -> int:
        on_cpu = next(self._supernet.parameters()).device.type == "cpu"
        return self._run.job.threads if on_cpu else 1

    def _here(self, architecture: Architecture) -> float:
        return score(self._run, self._supernet, self._data, architecture)

    def _in_workers(self, architectures: list[Architecture]) -> list[float]:
        if self._pool is None:
            context = get_context("spawn")  # a fork would copy OpenMP's locks in whatever state they are
            self._pool = ProcessPoolExecutor(self._workers, context, _start_worker, (self._run.path.absolute(),))
        genes = [architecture.genes for architecture in architectures]
        return list(self._pool.map(_score_genes, genes))


def score(run: RunDirectory, supernet: Supernet, data: Data, architecture: Architecture) -> float:
    """The metric of ``architecture`` on the job's search examples with inherited weights, on one thread."""
    settings = run.job.search
    network = inherit(supernet, architecture, data, settings.calibration_images)
    with one_thread():
        return evaluate(network, first(data.search, settings.images), data, architecture.input_shape[-1]).value


_worker: tuple[RunDirectory, Supernet, Data]  # of a worker process: set once, when it starts


def _start_worker(folder: Path) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the parent, which stops its workers
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # Linux: die with the parent, also when it is killed
    torch.set_num_threads(1)
    run = RunDirectory.open(folder, read_only=True)
    data = load_data(run.job.data)
    _worker = run, train_supernet(run, data, Silent()), data


def _score_genes(genes: tuple[int, ...]) -> float:
    run, supernet, data = _worker
    return score(run, supernet, data, supernet.space.architecture(np.array(genes)))
