"""One Gaussian process on features of architectures: refitted in milliseconds, for searches that learn as they go."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.ceiling import ABOVE, COVERED, Ceiling
from predictors.correction import conformal
from predictors.errors import PredictorError
from predictors.learners import distances
from predictors.scaling import FeatureScale
from predictors.threads import one_thread
from predictors.views import View

Floats = NDArray[np.float64]
LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the exponential kernel, in median distances
SLOPES = (0.0, 0.1, 1.0)  # variances of the linear kernel, in those of the exponential one
NOISES = (1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)  # the same of noise
HEIGHTS = (0.03, 0.1, 0.3, 1.0, ABOVE)  # of the ceiling, in interquartile ranges
BEYOND = 0.2  # of the range of scores seen, on either side
CHUNK = 4096  # rows predicted at once: bounds the memory of the kernel


@dataclass(frozen=True)
class Kernel:
    """length: in median distances of the rows seen. slope, noise: variances, in that of the exponential kernel. above: of the
    ceiling of scores. view: which of the features are looked at."""

    length: float
    slope: float
    noise: float
    above: float = ABOVE
    view: int = 0


class ProcessPredictor:
    """Scores of architectures, larger ones better, by a Gaussian process: an exponential kernel (Matern 1/2) for what is near,
    and a linear one for what no near row tells, as costs that add up.

    Scores are seen from a ceiling (`Ceiling`): a low one suits accuracies, which crowd below their best, a high one costs,
    which are sums. Its height, and the features, length, slope and noise of the kernel are those of the largest marginal
    likelihood (Rasmussen and Williams, 2006, section 5.4; Snelson et al., "Warped Gaussian processes", 2003). Standard
    deviations are widened, where they must be, so far that 90 % of the rows of the fit, each left out in closed form, lie
    inside 1.645 of them. Deterministic.

    Args:
        features: of rows; see `features_of`.
        kernel: of an earlier fit, to be kept; chosen anew if none.
        others: features that scores may depend on instead; see `views_of`.
    """

    def __init__(self, features: View, kernel: Kernel | None = None, others: Sequence[View] = ()) -> None:
        self._views = (features, *others)
        self._given = kernel
        self._weights: Floats | None = None

    @one_thread
    def fit(self, X: NDArray[np.integer], y: Floats) -> ProcessPredictor:
        """Learn from rows (n, G) and scores (n,), larger ones better, n >= 2. PredictorError otherwise."""
        y = np.asarray(y, dtype=np.float64)
        if len(X) < 2 or y.shape != (len(X),) or not np.isfinite(y).all():
            raise PredictorError(f"y: expected at least 2 finite scores, one a row of {len(X)}, got shape {y.shape}")
        if self._given is not None:
            self.kernel = self._given
        else:
            likeliest = (self._likeliest(X, y, view) for view in range(len(self._views)))
            self.kernel = max(likeliest, key=lambda found: found[0])[1]
        self._look(X, self.kernel.view)
        self._ceiling = Ceiling(y, self.kernel.above)
        target = self._ceiling.forward(y)
        self._range = target.min() - BEYOND * np.ptp(target), target.max() + BEYOND * np.ptp(target)
        self._mean = float(target.mean())
        self._inverse = np.linalg.inv(self._covariance(self._Z, self.kernel) + self.kernel.noise * np.eye(len(y)))
        self._weights = np.asarray(self._inverse @ (target - self._mean))
        self._scale = max(float((target - self._mean) @ self._weights) / len(y), 1e-12)
        left = np.diag(self._inverse)
        held = conformal(np.abs(self._weights) / np.sqrt(self._scale * left), 0.9) / COVERED
        self._wide = max(1.0, float(held)) if np.isfinite(held) else 1.0
        return self

    @one_thread
    def predict(self, X: NDArray[np.integer], noise: bool = True, upwards: bool = False) -> tuple[Floats, Floats]:
        """Mean (n,) and standard deviation (n,) of the scores of rows (n, G), or without ``noise`` of what they are on average
        over evaluations; ``upwards``, of the better half alone, which ends at the ceiling. PredictorError before `fit`."""
        if self._weights is None:
            raise PredictorError("ProcessPredictor.predict: call fit(X, y) first")
        mean, std = np.zeros(len(X)), np.zeros(len(X))
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            Z = self._scaled(self._view(X[part]))
            near = self._covariance(Z, self.kernel)
            middle = (self._mean + near @ self._weights).clip(*self._range)
            prior = 1.0 + self.kernel.slope * (Z**2).mean(axis=1)
            left = np.maximum(prior - ((near @ self._inverse) * near).sum(axis=1), 1e-9) + noise * self.kernel.noise
            spread = self._wide * np.sqrt(self._scale * left)
            mean[part] = self._ceiling.back(middle)
            std[part] = (self._ceiling.rise if upwards else self._ceiling.spread_back)(middle, spread)
        return mean, std

    def _look(self, X: NDArray[np.integer], view: int) -> None:
        """See rows (n, G) by those features."""
        self._view = self._views[view]
        F = self._view(X).astype(np.float64)
        self._scaled = FeatureScale(F, self._view.genes)
        self._Z = self._scaled(F)
        self._median = max(float(np.median(distances(self._Z, self._Z))), 1e-9)

    def _likeliest(self, X: NDArray[np.integer], y: Floats, view: int) -> tuple[float, Kernel]:
        """The largest log likelihood of the scores, up to a constant, that a kernel on those features has, and the kernel."""
        self._look(X, view)
        targets = np.stack([Ceiling(y, above).forward(y) for above in HEIGHTS], axis=1)
        slopes = targets.sum(axis=0)  # the log of the slope of minus a logarithm is that itself, up to a constant
        best, kernel = -np.inf, Kernel(LENGTHS[0], 0.0, NOISES[-1], view=view)
        for length, slope in itertools.product(LENGTHS, SLOPES):
            values, vectors = np.linalg.eigh(self._covariance(self._Z, Kernel(length, slope, 0.0)))
            projected = (vectors.T @ (targets - targets.mean(axis=0))) ** 2
            for noise in NOISES:
                spectrum = np.maximum(values, 0.0) + noise
                scales = np.maximum((projected / spectrum[:, None]).mean(axis=0), 1e-12)
                likelihoods = slopes - 0.5 * len(y) * np.log(scales) - 0.5 * np.log(spectrum).sum()
                height = int(np.argmax(likelihoods))
                if likelihoods[height] > best:
                    best = float(likelihoods[height])
                    kernel = Kernel(length, slope, noise, HEIGHTS[height], view)
        return best, kernel

    def _covariance(self, Z: Floats, kernel: Kernel) -> Floats:
        """(n, seen), without noise."""
        near = np.exp(-distances(Z, self._Z) / (kernel.length * self._median))
        return np.asarray(near + kernel.slope * (Z @ self._Z.T) / Z.shape[1] if kernel.slope else near)
