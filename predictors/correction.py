"""From the sum of operator latencies to the latency of a whole network: corrections, chosen by leave-one-out.

A network is not the sum of its parts: every operator measured alone pays a call, and runtimes fuse, overlap and reuse
caches. Each correction is a linear model with bounded coefficients, fitted to relative errors (rows weighted by 1 /
latency).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from scipy.stats import t as student

from predictors.threads import one_thread

Floats = NDArray[np.float64]
NAMES = ("sum", "scale", "scale + constant", "scale + count + constant", "families + constant")  # simplest first
MARGIN = 0.95  # a richer correction must have at most this share of the error of the one before it
LEAST = 0.2  # no network is predicted to take less than this share of the sum of its operators
PRIOR = 0.05  # strength of the pull of each family's scale towards the common one
COVERAGE = 0.9


@dataclass(frozen=True)
class Sums:
    """What a correction sees of n networks: ms by family (n, families), whose columns mean the same in every call,
    and the number of operators (n,)."""

    by_family: Floats
    count: Floats

    @property
    def total(self) -> Floats:
        """(n,) ms: the sum over all operators."""
        return self.weighted(np.ones(self.by_family.shape[1]))

    def weighted(self, scales: Floats) -> Floats:
        """(n,) ms: each family scaled; column by column, so that a row's last bit is the same in any batch."""
        total = np.zeros(len(self.by_family))
        for column, scale in zip(self.by_family.T, scales, strict=True):
            total += scale * column
        return total

    def rows(self, index: NDArray[np.int64]) -> Sums:
        """The sums of some of the networks."""
        return Sums(self.by_family[index], self.count[index])


@dataclass(frozen=True)
class Correction:
    """A fitted correction: network ms = by_family @ scales + per_operator x count + constant.

    ``interval`` is the half width of the 90 % interval in log latency: ms x exp(-interval) to ms x exp(interval).
    """

    name: str
    scales: Floats
    per_operator: float
    constant: float
    interval: float
    loo_mape: float

    def __call__(self, sums: Sums) -> Floats:
        """(n,) ms."""
        return self.finish(sums.weighted(self.scales) + self.per_operator * sums.count, sums.total)

    def finish(self, additive: Floats, total: Floats) -> Floats:
        """(n,) ms from the part that is a sum over operators, (n,), and the plain sum ``total`` (n,)."""
        return np.maximum(additive + self.constant, LEAST * total)


@one_thread
def choose(sums: Sums, ms: Floats) -> Correction:
    """The correction of smallest relative leave-one-out error on networks that took ``ms`` (n,), with its interval.

    Without networks it is the plain sum and the interval is nan (unknown). A correction is tried only on at least three
    networks more than it has coefficients.
    """
    if len(ms) == 0:
        return Correction("sum", np.ones(sums.by_family.shape[1]), 0.0, 0.0, np.nan, np.nan)
    best: tuple[str, Floats, float] | None = None
    parameters = dict(zip(NAMES, (0, 1, 2, 3, sums.by_family.shape[1] + 1), strict=True))
    everything = np.arange(len(ms))
    for name in NAMES:
        if name != "sum" and len(ms) < parameters[name] + 3:
            continue
        left = np.empty(len(ms))
        for i in everything:
            others = everything[everything != i]
            left[i] = _fit(name, sums.rows(others), ms[others])(sums.rows(everything[[i]]))[0]
        mape = float(np.abs(left / ms - 1.0).mean())
        if best is None or mape < MARGIN * best[2]:
            best = (name, left, mape)
    assert best is not None  # "sum" is always tried
    name, left, mape = best
    fitted = _fit(name, sums, ms)
    half = conformal(np.abs(np.log(ms / left)), COVERAGE)
    return Correction(name, fitted.scales, fitted.per_operator, fitted.constant, half, mape)


def conformal(residuals: Floats, coverage: float) -> float:
    """Half width that covers a new absolute residual with probability ``coverage`` (split conformal; Lei et al. 2018).

    The ceil((n + 1) coverage)-th smallest of ``residuals`` (n,); where n is too small for that, a Student t interval
    of centred normal residuals; nan below 3.
    """
    n = len(residuals)
    rank = int(np.ceil((n + 1) * coverage))
    if rank <= n:
        return float(np.sort(residuals)[rank - 1])
    if n < 3:
        return float("nan")
    return float(student.ppf(0.5 + coverage / 2, n) * np.sqrt((residuals**2).mean() * (1 + 1 / n)))


def _fit(name: str, sums: Sums, ms: Floats) -> Correction:
    families = sums.by_family.shape[1]
    scales, per_operator, constant = np.ones(families), 0.0, 0.0
    total = sums.total
    weight = 1.0 / ms
    if name == "sum":
        return Correction(name, scales, per_operator, constant, np.nan, np.nan)
    if name in ("scale", "scale + constant", "scale + count + constant"):
        columns = np.column_stack((total, np.ones(len(ms)), sums.count))[:, : len(name.split(" + "))]
        # An operator measured alone pays for a call that it does not pay in a network, so count and constant may be
        # negative, but never below what keeps the smallest network measured and the average operator positive.
        low = [0.0, -0.5 * float(ms.min()), -0.9 * float((total / sums.count).min())][: columns.shape[1]]
        found = lsq_linear(columns * weight[:, None], ms * weight, bounds=(low, np.inf)).x
        scales = scales * found[0]
        constant = float(found[1]) if len(found) > 1 else 0.0
        per_operator = float(found[2]) if len(found) > 2 else 0.0
        return Correction(name, scales, per_operator, constant, np.nan, np.nan)
    common = float((total * ms * weight**2).sum() / (total**2 * weight**2).sum())
    columns = np.column_stack((sums.by_family, np.ones(len(ms)))) * weight[:, None]
    pull = np.sqrt(PRIOR * len(ms)) * np.eye(families + 1)[:families] * columns[:, :families].mean()
    low = [0.0] * families + [-0.5 * float(ms.min())]
    target = np.r_[ms * weight, pull.sum(axis=1) * common]
    found = lsq_linear(np.vstack((columns, pull)), target, bounds=(low, np.inf)).x
    return Correction(name, np.asarray(found[:families]), 0.0, float(found[families]), np.nan, np.nan)
