"""Inherited accuracy: what a subnet scores on the search split with the supernet's weights, each architecture once."""

from __future__ import annotations

import numpy as np

from nas.data import ImageData
from nas.run import RunDirectory
from nas.training.evaluate import accuracy, calibrate
from search_spaces import Architecture, Network, Supernet

CACHE = "search/evaluations.csv"


def inherit(supernet: Supernet, architecture: Architecture, data: ImageData, calibration_images: int) -> Network:
    """``architecture`` as a network of its own with the supernet's weights, batch norm calibrated, ready to use."""
    network = supernet.extract(architecture).eval()
    calibrate(network, data, architecture.input_shape[-1], calibration_images)
    return network


class InheritedAccuracy:
    """``evaluate`` for `nas.search.run_search`: rows ``(n, G)`` -> accuracies ``(n,)``.

    Every answer is appended to the run's ``search/evaluations.csv`` before it is used, so no network is scored twice,
    neither by another searcher, seed or device nor after a kill.

    Args:
        run: holds the cache.
        supernet: in evaluation mode.
        data: its ``search`` split scores, its ``train`` split calibrates.
        images: use the first so many images of the search split; all if ``None``.
        calibration_images: for batch norm.
    """

    def __init__(
        self, run: RunDirectory, supernet: Supernet, data: ImageData, images: int | None, calibration_images: int
    ) -> None:
        self._run, self._supernet, self._data = run, supernet, data
        self._images, self._labels = data.search.images[:images], data.search.labels[:images]
        self._calibration_images = calibration_images
        self._known = {row["hash"]: float(row["accuracy"]) for row in run.read_rows(CACHE)}

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return np.array([self.score(self._supernet.space.architecture(row)) for row in rows])

    def score(self, architecture: Architecture) -> float:
        """Share of the search images that ``architecture`` gets right with inherited weights."""
        if architecture.hash not in self._known:
            network = inherit(self._supernet, architecture, self._data, self._calibration_images)
            side = architecture.input_shape[-1]
            value = accuracy(network, self._images, self._labels, self._data, side)
            self._run.append_rows(CACHE, [{"hash": architecture.hash, "accuracy": repr(value)}])
            self._known[architecture.hash] = value
        return self._known[architecture.hash]
