"""Latency on a device that was hardly measured, from what other devices said of the same architectures.

Devices agree about most of what makes an architecture slow, and differ about operators. So the log latency on a new device
is a Gaussian process: what the known devices have in common, or one of them that it is close to, some of the ways in which
they differ, and a share of its own for every operator. How much of each is averaged over by marginal likelihood: where the
known devices mislead, the operators' share takes over (no single way wins everywhere: HELP, arXiv 2106.08630; NASFLAT,
arXiv 2403.02446).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from predictors.ceiling import COVERED
from predictors.encoding import Features
from predictors.errors import PredictorError
from predictors.operator_shares import OperatorShares
from predictors.sources import Sources
from predictors.threads import one_thread
from predictors.transfer_features import OperatorBlocks, Standard
from predictors.transfer_ways import Parts, Products, Shape, Way, vectors, ways

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]
LEVEL = 100.0  # prior variance of the device's speed, which nothing else says
NOISES = (0.01, 0.03, 0.1, 0.3)
NOISE = 0.1  # before anything is measured
LEAST = 1e-3  # belief below which a way is left out
TINY = 1e-12


class TransferPredictor:
    """Latencies on a new device.

    Args:
        sources: log latencies of known devices for any rows; see `Sources`.
        features: of the architectures.
        reference: (n, G) some hundreds of rows, by which all is scaled.
    """

    @one_thread
    def __init__(self, sources: Sources, features: Features, reference: Rows) -> None:
        self._sources, self._places = sources, OperatorBlocks(features, reference)
        known = sources(reference)
        self._known = Standard(known)
        self._shape = Shape(self._known(known))
        self._shares = OperatorShares(features, reference, known)
        counts = len(self._places(reference[:1]))  # the block after those of places
        self._ways = ways(counts + 2, known.shape[1], near=counts)
        self._usual = Way(1.0, 0.1, 0.1, counts - 1)  # to choose by
        self._fitted: list[tuple[float, Way, float, Floats, Floats]] = []
        self._doubt = 1.0

    @one_thread
    def fit(self, X: Rows, ms: Floats) -> TransferPredictor:
        """Learn from rows (n, G) and latencies (n,) in ms, n >= 3. PredictorError otherwise."""
        ms = np.asarray(ms, dtype=np.float64)
        if len(X) < 3 or ms.shape != (len(X),) or not (np.isfinite(ms) & (ms > 0)).all():
            raise PredictorError(f"ms: expected at least 3 positive latencies, one a row, got shape {ms.shape}")
        y = np.log(ms)
        self._mean, self._count = float(y.mean()), len(y)
        self._X = X
        self._fitted, left = self._believed(y - self._mean)
        self._doubt = max(1.0, float(np.sqrt((left**2).mean())))
        return self

    @one_thread
    def predict(self, X: Rows) -> tuple[Floats, Floats]:
        """(n,) log latencies in ms and their standard deviations, so wide that +- 1.645 of it hold 90 %."""
        if not self._fitted:
            raise PredictorError("TransferPredictor.predict: call fit(X, ms) first")
        old = self._parts(self._X)
        among, cross = Products(old, old), Products(self._parts(X), old)
        total = sum(entry[0] for entry in self._fitted)
        mean, square = np.zeros(len(X)), np.zeros(len(X))
        for belief, way, noise, weights, inverse in self._fitted:
            near = cross.between(way) + LEVEL
            guess = self._mean + near @ weights
            scale = weights @ (among.between(way) + LEVEL + noise * np.eye(self._count)) @ weights / self._count
            left = cross.own(way) + LEVEL - ((near @ inverse) * near).sum(axis=1) + noise
            mean += belief / total * guess
            square += belief / total * (guess**2 + scale * np.maximum(left, noise))
        wide = self._doubt * float(stdtrit(self._count - 1, 0.95)) / COVERED
        return mean, wide * np.sqrt(np.maximum(square - mean**2, TINY))

    @one_thread
    def choose(self, X: Rows, count: int, measured: Rows | None = None) -> NDArray[np.int64]:
        """Indices of ``count`` rows that, measured, leave the least variance over ``X`` (greedy A-optimal design), if the
        device has much in common with the known ones; ``measured`` (m, G): what is known by then."""
        known = X[:0] if measured is None else measured
        columns = vectors(self._parts(np.concatenate([X, known])), self._usual)
        covariance = np.asarray(columns @ columns.T)

        def learnt(covariance: Floats, row: int) -> Floats:
            column = covariance[:, row]
            return np.asarray(covariance - np.outer(column, column) / (column[row] + NOISE))

        for row in range(len(X), len(covariance)):
            covariance = learnt(covariance, row)
        covariance = covariance[: len(X), : len(X)]
        chosen: list[int] = []
        for _ in range(min(count, len(X))):
            gain = (covariance**2).sum(axis=0) / (np.diag(covariance) + NOISE)
            gain[chosen] = -np.inf
            chosen.append(int(gain.argmax()))
            covariance = learnt(covariance, chosen[-1])
        return np.array(chosen)

    def _parts(self, X: Rows) -> Parts:
        bases, differing = self._shape(self._known(self._sources(X)))
        return bases, differing, self._places(X) + self._shares(X)

    def _believed(self, y: Floats) -> tuple[list[tuple[float, Way, float, Floats, Floats]], Floats]:
        """Belief, way, noise, weights (n,) and inverse covariance (n, n) of those that explain ``y`` (n,) by marginal
        likelihood, its scale left open; those of next to no belief are left out.

        And by how many of its standard deviations each measurement is missed when it is left out, of the beliefs too: that says
        whether they are as sure as they may be.
        """
        parts = self._parts(self._X)
        among = Products(parts, parts)
        covariances = np.stack([among.between(way) for way in self._ways]) + LEVEL
        covariances = np.concatenate([covariances + noise * np.eye(len(y)) for noise in NOISES])
        inverses = np.linalg.inv(covariances)
        weights, certain = inverses @ y, np.einsum("wii->wi", inverses)
        surprise, volume = weights @ y, np.linalg.slogdet(inverses)[1]
        belief = _belief(len(y), surprise[:, None], volume[:, None])[:, 0]
        # each left out in closed form (Rasmussen and Williams, 2006, section 5.4.2)
        rest = surprise[:, None] - weights**2 / certain
        believed = _belief(len(y) - 1, rest, volume[:, None] - np.log(certain))
        missed = weights / certain
        middle = (believed * missed).sum(axis=0)
        spread = (believed * (missed**2 + np.maximum(rest, TINY) / (len(y) - 1) / certain)).sum(axis=0) - middle**2
        kept = [
            (float(belief[i]), self._ways[i % len(self._ways)], NOISES[i // len(self._ways)], weights[i], inverses[i])
            for i in np.flatnonzero(belief >= LEAST)
        ]
        return kept, middle / np.sqrt(np.maximum(spread, TINY))


def _belief(count: int, surprise: Floats, volume: Floats) -> Floats:
    """(w, k) shares of w processes, from the squares (w, k) of what they must explain in ``count`` measurements and the log
    determinants of their inverses."""
    likelihood = -0.5 * count * np.log(np.maximum(surprise, TINY)) + 0.5 * volume
    share = np.exp(likelihood - likelihood.max(axis=0))
    return np.asarray(share / share.sum(axis=0))
