"""Latency on a device that was hardly measured, from what other devices said of the same architectures.

Devices agree about most of what makes an architecture slow, and differ about operators. So the log latency on a new device
is a Gaussian process: some of what the known devices have in common, some of the ways in which they differ, and a share of
its own for every operator. How much of each is averaged over by marginal likelihood: where the known devices mislead, the
operators' share takes over (no single way wins everywhere: HELP, arXiv 2106.08630; NASFLAT, arXiv 2403.02446). Before
anything is measured, each way is believed as far as it would have served for the known devices themselves, each in turn
taken for new.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from predictors.ceiling import COVERED
from predictors.encoding import Features
from predictors.errors import PredictorError
from predictors.sources import Sources
from predictors.threads import one_thread
from predictors.transfer_features import OperatorBlocks, Standard

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]
Parts = tuple[
    Floats, Floats, list[Floats]
]  # of rows: what is common (n,), the differences (n, k), features by block (n, F)
LEVEL = 100.0  # prior variance of the device's speed, which nothing else says
COMPONENTS = 8  # ways in which devices differ
NOISES = (0.01, 0.03, 0.1, 0.3)
DRAWS = 4  # of the rehearsal on each known device
LEAST = 1e-3  # belief below which a way is left out


@dataclass(frozen=True)
class Way:
    """Prior variances of what devices have in common, of how they differ, and of operators; which block of these."""

    common: float
    differing: float
    operators: float
    block: int


def ways(blocks: int) -> list[Way]:
    """The ways that are averaged over, for so many blocks of operator features."""
    found = [
        Way(1.0, differing, own, block)
        for differing, own, block in itertools.product((0.03, 0.1, 0.3), (0.0, 0.03, 0.1, 0.3), range(blocks))
        if own > 0 or block == 0
    ]
    found += [Way(0.0, 0.0, 1.0, block) for block in range(blocks)]
    return found + [Way(0.3, 0.3, 0.3, block) for block in range(blocks)]


class TransferPredictor:
    """Latencies on a new device.

    Args:
        sources: log latencies of known devices for any rows; see `Sources`.
        features: of the architectures.
        reference: (n, G) some hundreds of rows, by which all is scaled.
        rehearse: rows (k, G) and latencies in ms (k, S) of the known devices there, nan where there is none, for the beliefs
            before any measurement; none: every way is believed alike.
    """

    @one_thread
    def __init__(
        self, sources: Sources, features: Features, reference: Rows, rehearse: tuple[Rows, Floats] | None = None
    ) -> None:
        self._sources, self._blocks = sources, OperatorBlocks(features, reference)
        known = sources(reference)
        self._known = Standard(known)
        scaled = self._known(known)
        self._shape = _Shape(scaled)
        self._ways = ways(len(self._blocks(reference[:1])))
        self._rehearsal = rehearse
        self._beliefs: dict[int, Floats] = {}
        self._fitted: list[tuple[float, int, float, Floats, Floats]] = []
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
        weights, models = self._considered(self._parts(X), y - self._mean)
        weights = weights + self._belief(len(y))
        belief = np.exp(weights - weights.max())
        belief /= belief.sum()
        self._fitted = [(b, *model) for b, model in zip(belief, models, strict=True) if b >= LEAST]
        # each measurement left out in turn (in closed form) says whether the ways are as sure as they may be
        missed = sum(b * float((weights**2 / np.diag(inverse)).mean()) for b, _, _, weights, inverse in self._fitted)
        expected = sum(
            b * float(weights @ np.linalg.solve(inverse, weights)) / len(y)
            for b, _, _, weights, inverse in self._fitted
        )
        self._doubt = max(1.0, float(np.sqrt(missed / max(expected, 1e-300))))
        return self

    @one_thread
    def predict(self, X: Rows) -> tuple[Floats, Floats]:
        """(n,) log latencies in ms and their standard deviations, so wide that +- 1.645 of it hold 90 %."""
        if not self._fitted:
            raise PredictorError("TransferPredictor.predict: call fit(X, ms) first")
        old = self._parts(self._X)
        among, cross = _Products(old, old), _Products(self._parts(X), old)
        total = sum(entry[0] for entry in self._fitted)
        mean, square = np.zeros(len(X)), np.zeros(len(X))
        for belief, number, noise, weights, inverse in self._fitted:
            way = self._ways[number]
            near = cross.between(way) + LEVEL
            guess = self._mean + near @ weights
            scale = weights @ (among.between(way) + LEVEL + noise * np.eye(self._count)) @ weights / self._count
            left = cross.own(way) + LEVEL - ((near @ inverse) * near).sum(axis=1) + noise
            mean += belief / total * guess
            square += belief / total * (guess**2 + scale * np.maximum(left, noise))
        wide = self._doubt * float(student.ppf(0.95, self._count - 1)) / COVERED
        return mean, wide * np.sqrt(np.maximum(square - mean**2, 1e-12))

    @one_thread
    def choose(self, X: Rows, count: int, measured: Rows | None = None) -> NDArray[np.int64]:
        """Indices of ``count`` rows that, measured, leave the least variance over ``X`` (greedy A-optimal design), under the
        way that was believed most before any measurement; ``measured`` (m, G): what is known by then."""
        known = X[:0] if measured is None else measured
        belief = self._belief(count + len(known))
        way, noise = divmod(int(np.argmax(belief)), len(NOISES)) if np.ndim(belief) else (0, 2)
        covariance = cross_of(self._vectors(self._parts(np.concatenate([X, known])), self._ways[way]))

        def learnt(covariance: Floats, row: int) -> Floats:
            column = covariance[:, row]
            return np.asarray(covariance - np.outer(column, column) / (column[row] + NOISES[noise]))

        for row in range(len(X), len(covariance)):
            covariance = learnt(covariance, row)
        covariance = covariance[: len(X), : len(X)]
        chosen: list[int] = []
        for _ in range(min(count, len(X))):
            gain = (covariance**2).sum(axis=0) / (np.diag(covariance) + NOISES[noise])
            gain[chosen] = -np.inf
            chosen.append(int(gain.argmax()))
            covariance = learnt(covariance, chosen[-1])
        return np.array(chosen)

    def _parts(self, X: Rows) -> Parts:
        """What is common (n,), the differences (n, k), and the operators' features."""
        common, differing = self._shape(self._known(self._sources(X)))
        return common, differing, self._blocks(X)

    @staticmethod
    def _vectors(parts: Parts, way: Way) -> Floats:
        """(n, k) whose products are the way's prior covariance."""
        common, differing, blocks = parts
        columns = [np.sqrt(way.common) * common[:, None], np.sqrt(way.differing) * differing]
        return np.concatenate([*columns, np.sqrt(way.operators) * blocks[way.block]], axis=1)

    def _considered(self, parts: Parts, y: Floats) -> tuple[Floats, list[tuple[int, float, Floats, Floats]]]:
        """Log marginal likelihood of every way and noise, the scale of ``y`` (n,) left open, with what predicts."""
        likelihood, models = [], []
        for number, way in enumerate(self._ways):
            prior = cross_of(self._vectors(parts, way))
            for noise in NOISES:
                inverse = np.asarray(np.linalg.inv(prior + noise * np.eye(len(y)) + LEVEL), np.float64)
                surprise = max(float(y @ inverse @ y) / len(y), 1e-12)
                likelihood.append(-0.5 * len(y) * np.log(surprise) + 0.5 * np.linalg.slogdet(inverse)[1])
                models.append((number, noise, inverse @ y, inverse))
        return np.array(likelihood), models

    def _belief(self, count: int) -> Floats:
        """Mean log likelihood of every way and noise over the known devices, each taken for new with ``count`` rows."""
        if self._rehearsal is None:
            return np.zeros(len(self._ways) * len(NOISES))
        if count not in self._beliefs:
            X, ms = self._rehearsal
            known, blocks = self._known(self._sources(X)), self._blocks(X)
            total = np.zeros(len(self._ways) * len(NOISES))
            for device in range(ms.shape[1]):
                others = [other for other in range(ms.shape[1]) if other not in self._sources.alike(device)]
                if not others:
                    continue
                rest = _Shape(known[:, others])
                there = np.flatnonzero(np.isfinite(ms[:, device]))
                for draw in range(DRAWS):
                    rows = there[np.random.default_rng([draw, count]).permutation(len(there))[:count]]
                    common, differing = rest(known[rows][:, others])
                    y = np.log(ms[rows, device])
                    found = self._considered((common, differing, [block[rows] for block in blocks]), y - y.mean())[0]
                    total += (found - found.max()) / (DRAWS * ms.shape[1])
            self._beliefs[count] = total
        return self._beliefs[count]


class _Products:
    """Products of the parts of rows (n) and others (m), of which the covariance of every way is a weighted sum: they are made
    once, not for each way."""

    def __init__(self, rows: Parts, others: Parts) -> None:
        (common, differing, blocks), (common_, differing_, blocks_) = rows, others
        self._between = np.outer(common, common_), differing @ differing_.T
        self._own = common**2, (differing**2).sum(axis=1)
        self._blocks = [block @ block_.T for block, block_ in zip(blocks, blocks_, strict=True)]
        self._blocks_own = [np.einsum("nk,nk->n", block, block) for block in blocks]

    def between(self, way: Way) -> Floats:
        """(n, m) prior covariances."""
        common, differing = self._between
        return way.common * common + way.differing * differing + way.operators * self._blocks[way.block]

    def own(self, way: Way) -> Floats:
        """(n,) prior variances of the rows."""
        common, differing = self._own
        return way.common * common + way.differing * differing + way.operators * self._blocks_own[way.block]


class _Shape:
    """What scaled devices (n, S) have in common, and the ways in which they differ, largest first."""

    def __init__(self, scaled: Floats) -> None:
        common = scaled.mean(axis=1)
        self._spread = float(common.std()) or 1.0
        common = common / self._spread
        self._share = (scaled * common[:, None]).mean(axis=0)
        rest = scaled - np.outer(common, self._share)
        self._centre = rest.mean(axis=0)
        _, values, directions = np.linalg.svd(rest - self._centre, full_matrices=False)
        kept = min(COMPONENTS, max(scaled.shape[1] - 1, 0))
        sizes = values[:kept] / max(values[:kept].sum(), 1e-12)
        scales = np.sqrt(len(scaled) * sizes) / np.maximum(values[:kept], 1e-12)
        self._directions = directions[:kept].T * scales

    def __call__(self, scaled: Floats) -> tuple[Floats, Floats]:
        common = scaled.mean(axis=1) / self._spread
        rest = scaled - np.outer(common, self._share) - self._centre
        return common, rest @ self._directions


def cross_of(vectors: Floats) -> Floats:
    """(n, n) products of rows (n, k)."""
    return np.asarray(vectors @ vectors.T)
