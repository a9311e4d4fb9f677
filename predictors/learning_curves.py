"""The final value of a learning curve from its beginning: parametric families, each believed as far as it fits.

Families: power law, log power and exponential, as in Domhan et al., "Speeding up automatic hyperparameter optimization of deep
neural networks by extrapolation of learning curves" (IJCAI 2015), section 3.1; Adriaensen et al., "Efficient Bayesian learning
curve extrapolation using prior-data fitted networks" (arXiv 2310.20447) use such a mixture as well. Both sample shapes and
combinations of them. Here every shape of a grid is a Bayesian linear regression in closed form (level and rise free, the noise
unknown: a normal-inverse-gamma prior), and the shapes are averaged by marginal likelihood: no sampling, no seed, the same
answer every time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, logsumexp

from predictors.errors import PredictorError

Floats = NDArray[np.float64]
FEWEST = 3  # points of a curve
LEVEL = 1.0  # prior variance of the level at the last point, in that of the values seen
RISE = 4.0  # of the rise over the points seen
SHAPE, NOISE = (
    1.5,
    0.01,
)  # of the inverse gamma prior of the noise variance: its shape, and its mode's share of that variance

# share of the rise that is left after x, as a share of the points seen: 1 at the beginning, to 0 at infinity
Left = Callable[[Floats], Floats]


def _power(exponent: float, start: float) -> Left:
    return lambda x: np.asarray((x / start + 1.0) ** -exponent)


def _log_power(exponent: float, middle: float) -> Left:
    return lambda x: np.asarray(1.0 / (1.0 + (x / middle) ** exponent))


def _exponential(exponent: float, scale: float) -> Left:
    return lambda x: np.asarray(np.exp(-((x / scale) ** exponent)))


@lru_cache(maxsize=1)
def shapes() -> tuple[tuple[str, Left], ...]:
    """Every family with every shape of its grid, alike in number: (family, what is left)."""
    scales = np.geomspace(0.02, 4.0, 10)
    exponents = {
        "power law": (_power, np.geomspace(0.25, 4.0, 5)),
        "log power": (_log_power, np.geomspace(0.5, 3.0, 5)),
        "exponential": (_exponential, np.geomspace(0.4, 1.6, 5)),
    }
    return tuple(
        (name, make(float(e), float(s))) for name, (make, several) in exponents.items() for e in several for s in scales
    )


@dataclass(frozen=True)
class Extrapolation:
    """Attributes: mean, std: of the value at the step that was asked for, noise included; mean +- 1.645 std is meant to hold
    90 %. families: how far each family is believed; they sum to 1."""

    mean: float
    std: float
    families: dict[str, float]


def extrapolate(steps: ArrayLike, values: ArrayLike, final: float) -> Extrapolation:
    """What a learning curve reaches at step ``final``.

    Curves may rise (accuracy) or fall (loss). Deterministic; another unit of the values or of the steps gives the same answer
    in that unit.

    Args:
        steps: (n,) ascending and positive, e.g. epochs; n >= `FEWEST`.
        values: (n,) what was seen after each of them.
        final: a step, not before the last one seen.

    Raises:
        PredictorError: an argument is illegal.
    """
    x, y = _checked(steps, values, final)
    scale = float(y.std())
    if scale == 0.0:
        return Extrapolation(float(y[-1]), 0.0, dict.fromkeys(dict(shapes()), 1.0 / 3))
    seen, target = x / x[-1], final / float(x[-1])
    z = (y - y[-1]) / scale
    likelihood, mean, variance = np.array([_regressed(left, seen, z, target) for _, left in shapes()]).T
    belief = np.exp(likelihood - logsumexp(likelihood))
    middle = float(belief @ mean)
    spread = float(belief @ (variance + (mean - middle) ** 2))
    families: dict[str, float] = {}
    for (name, _), share in zip(shapes(), belief, strict=True):
        families[name] = families.get(name, 0.0) + float(share)
    return Extrapolation(float(y[-1]) + scale * middle, scale * float(np.sqrt(spread)), families)


def _regressed(left: Left, seen: Floats, z: Floats, target: float) -> tuple[float, float, float]:
    """Log marginal likelihood of one shape, and the mean and variance of the value at ``target``."""
    share = left(np.append(seen, target))
    drop = max(float(share[0] - share[-2]), 1e-9)
    rise = (share[-2] - share) / drop  # -1 at the first point, 0 at the last
    A = np.column_stack([np.ones(len(seen)), rise[:-1]])
    at = np.array([1.0, rise[-1]])
    precision = np.diag([1.0 / LEVEL, 1.0 / RISE]) + A.T @ A
    covariance = np.linalg.inv(precision)
    weights = covariance @ (A.T @ z)
    shape = SHAPE + 0.5 * len(z)
    rate = NOISE * (SHAPE + 1.0) + 0.5 * max(float(z @ z - weights @ precision @ weights), 0.0)
    likelihood = -0.5 * np.linalg.slogdet(precision)[1] - shape * np.log(rate) + gammaln(shape)
    variance = rate / (shape - 1.0) * (1.0 + float(at @ covariance @ at))
    return float(likelihood), float(at @ weights), variance


def _checked(steps: ArrayLike, values: ArrayLike, final: float) -> tuple[Floats, Floats]:
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or len(x) < FEWEST or not np.isfinite(x).all() or x[0] <= 0 or (np.diff(x) <= 0).any():
        raise PredictorError(f"steps: got shape {x.shape}; legal: at least {FEWEST} ascending positive numbers")
    if y.shape != x.shape or not np.isfinite(y).all():
        raise PredictorError(f"values: got shape {y.shape}; legal: {len(x)} finite numbers, one a step")
    if not np.isfinite(final) or final < x[-1]:
        raise PredictorError(f"final: got {final}; legal: a step from {x[-1]:g}, the last one seen")
    return x, y
