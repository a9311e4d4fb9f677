"""From the sum of operator latencies to the latency of a whole network.

A network is not the sum of its parts: every operator measured alone pays a call, and runtimes fuse, overlap and reuse
caches, each operator in its own way. So a network takes a constant, and each of its operators takes its latency alone times
a scale, plus a call; scales and calls are normal around those common to all operators, these around "as if alone". Estimated
operators are wrong besides, as much as their models say. Whole networks that were measured then are a Gaussian process
(Rasmussen and Williams, 2006, sections 2.1 and 2.7), whose posterior says what every operator takes inside a network. How
much scales and calls differ is chosen by marginal likelihood; the expected error is that of leave-one-out, in closed form
(section 5.4).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import stdtrit

from predictors.operator_model import OperatorModel
from predictors.threads import one_thread
from search_spaces.spec import OperatorSpec

Floats = NDArray[np.float64]
LEAST = 0.2  # no network is predicted to take less than this share of the sum of its operators
COVERAGE = 0.9
# Prior variances: of scales as fractions, of calls and the constant in units of an operator's typical latency.
COMMON_SCALE, COMMON_CALL, CONSTANT = 1.0, 0.3, 4.0
SCALES = (0.003, 0.01, 0.03, 0.1, 0.3)  # of one operator around the common one
CALLS = (0.0, 0.003, 0.01, 0.03, 0.1)
NOISES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)  # of a network, relative to its sum, that none of it explains
MOST = 200  # networks by which these are chosen, spread evenly over those there are


class Correction:
    """Fitted to whole networks: `parts` is what each operator takes inside one.

    Args:
        operators: latencies of the operators alone.
        networks: n lists of specs, measured whole.
        ms: (n,) their latencies. Without any, the prediction is the plain sum and the interval nan.

    Attributes:
        interval: half width of the 90 % interval in log latency: ms x exp(-interval) to ms x exp(interval).
        expected_error: mean absolute relative error on ``networks``, each left out in turn.
    """

    @one_thread
    def __init__(self, operators: OperatorModel, networks: Sequence[Sequence[OperatorSpec]], ms: Floats) -> None:
        self._operators = operators
        self.interval = self.expected_error = float("nan")
        self.constant, self._common_scale, self._common_call = 0.0, 0.0, 0.0
        self._scales: dict[str, float] = {}
        self._calls: dict[str, float] = {}
        self._errors: dict[str, tuple[list[OperatorSpec], Floats]] = {}
        if len(ms) > 0:
            self._fit(networks, ms)

    def parts(self, alone: Mapping[OperatorSpec, float]) -> dict[OperatorSpec, float]:
        """ms that each spec adds to a network, from those that it takes alone."""
        by_name: dict[str, list[OperatorSpec]] = {}
        for spec in alone:
            by_name.setdefault(spec.name, []).append(spec)
        found: dict[OperatorSpec, float] = {}
        for name, group in by_name.items():
            scale = np.full(len(group), 1.0 + self._common_scale + self._scales.get(name, 0.0))
            if name in self._errors:
                known, weights = self._errors[name]
                scale += self._operators.covariance(group, known) @ weights
            call = self._common_call + self._calls.get(name, 0.0)
            for spec, factor in zip(group, scale, strict=True):
                found[spec] = float(factor) * alone[spec] + call
        return found

    def finish(self, parts: Floats, total: Floats) -> Floats:
        """(n,) ms of networks from the sums of `parts` and of the operators alone, (n,) both."""
        return np.maximum(parts + self.constant, LEAST * total)

    def _fit(self, networks: Sequence[Sequence[OperatorSpec]], ms: Floats) -> None:
        counts = [Counter(network) for network in networks]
        specs: dict[str, list[OperatorSpec]] = {}
        for spec in dict.fromkeys(spec for network in networks for spec in network):
            specs.setdefault(spec.name, []).append(spec)
        alone = self._operators.ms([spec for group in specs.values() for spec in group])
        shares = {  # (n, k) ms of each spec, by name
            name: np.array([[times[spec] * alone[spec] for spec in group] for times in counts])
            for name, group in specs.items()
        }
        sums = np.column_stack([share.sum(axis=1) for share in shares.values()])
        calls = np.array([[sum(times[spec] for spec in group) for group in specs.values()] for times in counts])
        total = sums.sum(axis=1)
        # relative to the sum, the errors of all networks are of one size
        relative = 1.0 / total
        typical = float(np.median(total / calls.sum(axis=1)))
        sums, calls = sums * relative[:, None], calls * typical * relative[:, None]
        constant = typical * relative
        fixed = (
            COMMON_SCALE * np.ones((len(ms), len(ms)))
            + COMMON_CALL * np.outer(calls.sum(axis=1), calls.sum(axis=1))
            + CONSTANT * np.outer(constant, constant)
        )
        for name, group in specs.items():
            share = shares[name] * relative[:, None]
            fixed += share @ self._operators.covariance(group) @ share.T
        target = ms * relative - 1.0
        some = np.unique(np.linspace(0, len(ms) - 1, MOST).round().astype(int))
        block = np.ix_(some, some)
        between, called = sums @ sums.T, calls @ calls.T
        scale, call, noise = _likeliest(fixed[block], between[block], called[block], target[some])
        covariance = fixed + scale * between + call * called + noise * np.eye(len(ms))
        factor = cho_factor(covariance)
        weights = cho_solve(factor, target)
        self.constant = CONSTANT * typical * float(constant @ weights)
        self._common_scale = COMMON_SCALE * float(weights.sum())
        self._common_call = COMMON_CALL * typical * float(calls.sum(axis=1) @ weights)
        self._scales = dict(zip(specs, map(float, scale * (weights @ sums)), strict=True))
        self._calls = dict(zip(specs, map(float, call * typical * (weights @ calls)), strict=True))
        self._errors = {name: (group, (weights * relative) @ shares[name]) for name, group in specs.items()}
        left = weights / np.diag(cho_solve(factor, np.eye(len(ms))))  # what leave-one-out misses, relative to the sum
        guessed = np.maximum(ms - left * total, LEAST * total)
        self.expected_error = float(np.abs(guessed / ms - 1.0).mean())
        self.interval = conformal(np.abs(np.log(ms / guessed)), COVERAGE)


def _likeliest(fixed: Floats, scales: Floats, calls: Floats, target: Floats) -> tuple[float, float, float]:
    """Prior variances of scales, calls and noise that make ``target`` (n,) likeliest; the others are (n, n) kernels."""
    best, least = (SCALES[0], CALLS[0], NOISES[-1]), np.inf
    for scale, call in itertools.product(SCALES, CALLS):
        values, vectors = np.linalg.eigh(fixed + scale * scales + call * calls)
        projected = (vectors.T @ target) ** 2
        for noise in NOISES:
            spread = np.maximum(values, 0.0) + noise
            surprise = float((projected / spread + np.log(spread)).sum())
            if surprise < least:
                best, least = (scale, call, noise), surprise
    return best


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
    return float(stdtrit(n, 0.5 + coverage / 2) * np.sqrt((residuals**2).mean() * (1 + 1 / n)))
