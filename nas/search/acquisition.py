"""What an evaluation is expected to add to a front: the expected hypervolume improvement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]
CAUTIOUS = 0.4  # of the doubt that every second choice believes


def below(bound: float, mean: Floats, std: Floats) -> Floats:
    """(n,) expected lengths from a normal variable up to ``bound``, 0 where it lies beyond; ``std`` may be 0."""
    gap = bound - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(std > 0, gap / std, 0.0)
    wide = gap * ndtr(z) + std * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.where(std > 0, wide, np.maximum(gap, 0.0))


def expected_improvement(mean: Floats, std: Floats, front: Floats, reference: Floats) -> Floats:
    """(n,) expected hypervolumes that candidates add to a front, exactly, in any number of objectives.

    Args:
        mean, std: (n, m) of each candidate's objectives, minimised, independent normals; a std of 0 is a known value.
        front: (k, m) what is already there.
        reference: (m,) worst acceptable values, which bound the volume.

    With one objective it is the expected improvement (Jones et al., 1998). The volume is cut into slices of the last
    objective at the front's values; within a slice the front does not change, so the expectation is that of the slice's
    height that is reached times that of the same problem in one objective less (as Emmerich et al., 2011, and Yang et al.,
    2019, do with cells).
    """
    front = front[(front < reference).all(axis=1)]
    if mean.shape[1] == 1:
        return below(float(front.min(initial=float(reference[0]))), mean[:, 0], std[:, 0])
    last = front[:, -1]
    cuts = np.unique(last)
    total = np.zeros(len(mean))
    reached = np.zeros(len(mean))  # expected height up to the slice
    for number, top in enumerate((*cuts, reference[-1])):
        height = below(float(top), mean[:, -1], std[:, -1])
        there = front[last < top, :-1] if number else front[:0, :-1]
        inside = expected_improvement(mean[:, :-1], std[:, :-1], there, reference[:-1])
        total += (height - reached) * inside
        reached = height
    return total


def choose_batch(
    mean: Floats, std: Floats, front: Floats, reference: Floats, n: int, before: int = 0
) -> NDArray[np.int64]:
    """Indices of ``n`` candidates, each the one that adds most to the front with those before it at their means.

    Every second one is chosen with `CAUTIOUS` standard deviations for one, if that promises anything: where a model doubts
    too much of some corner, it would go back there again and again. ``before``: how many were chosen earlier, so that
    single choices take turns too.

    Believing the model between choices: Ginsbourger et al., "Kriging is well-suited to parallelize optimization", 2010.
    Choices of several minds: Hoffman et al., "Portfolio allocation for Bayesian optimization", 2011.
    """
    chosen: list[int] = []
    dust = 1e-12 * float(np.prod(np.ptp(np.vstack((mean, reference)), axis=0)))  # what rounding leaves of no gain
    for turn in range(before, before + min(n, len(mean))):
        gain = expected_improvement(mean, (CAUTIOUS if turn % 2 else 1.0) * std, front, reference)
        gain[chosen] = -np.inf
        if turn % 2 and gain.max() <= dust:
            gain = expected_improvement(mean, std, front, reference)
            gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        chosen.append(best)
        front = np.vstack((front, mean[best]))
    return np.array(chosen, dtype=np.int64)
