"""A hard constraint on a policy: its expected latency is at most the limit, by projection.

Source: Jin et al., "RC-DARTS: resource constrained differentiable architecture search" (arXiv 1912.12814), who project by
descent on the violation. Here the projection is the information projection (Csiszar, 1975): of the policies within the limit
the one whose Kullback-Leibler divergence from the given one is least. Where the expectation is linear in the probabilities it
multiplies them by exp(-multiplier * effect), with one multiplier; elsewhere that is repeated on its linearisation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.search.policies import Expectation, softmax
from nas.search.problem import Floats

ROUNDS = 20  # linearisations
HALVINGS = 50
WIDEST = 60.0  # in logits: more makes no difference to a probability


def project(logits: Floats, legal: NDArray[np.bool_], expected: Expectation, limit: float) -> Floats:
    """The nearest logits (P, G, V) whose expectation is at most ``limit``; as they are where it is.

    Where no policy meets the limit, or ``ROUNDS`` linearisations do not, the last ones: nearer to the limit, not within it.

    Args:
        logits: of P policies, each projected by itself.
        legal: (G, V) the values that genes may have.
        expected: see `Expectation`.
        limit: positive.
    """
    for _ in range(ROUNDS):
        values = expected.value(logits)
        over = values > limit
        if not over.any():
            break
        logits = logits.copy()
        effects = expected.effects(logits[over])
        logits[over] = _linear(logits[over], legal, effects, limit - values[over])
    return logits


def _linear(logits: Floats, legal: NDArray[np.bool_], effects: Floats, change: Floats) -> Floats:
    """Logits less the smallest multiple of the effects that changes the linear expectation by ``change`` (P,) or less."""
    before = softmax(logits, legal)
    spread = np.where(legal, effects, 0.0)
    largest = np.ptp(spread, axis=(1, 2))
    steepness = WIDEST / np.where(largest > 0, largest, 1.0)
    low, high = np.zeros(len(logits)), np.ones(len(logits))

    def moved(multiplier: Floats) -> Floats:
        return logits - (multiplier * steepness)[:, None, None] * spread

    def changed(multiplier: Floats) -> Floats:
        return np.asarray(((softmax(moved(multiplier), legal) - before) * spread).sum(axis=(1, 2)))

    for _ in range(HALVINGS):  # on a multiplier in [0, 1] of the steepest
        middle = (low + high) / 2
        enough = changed(middle) <= change
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return moved(high)
