"""Racing: candidates are given up as soon as a confidence interval says that something dominates them.

Sources: Maron and Moore, "Hoeffding races: accelerating model selection search for classification and function
approximation", 1994; Birattari et al., "A racing algorithm for configuring metaheuristics", 2002.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from nas.search.problem import Floats


@dataclass(frozen=True)
class PartError:
    """How far scores on a share of the examples are from those on all of them, as measured.

    Attributes:
        shift: (a,) by which the share is harder or easier for all: all answer the same examples, so this is no error.
        spread: (a,) standard deviation of what is left.
        rows: how many it was measured on.

    Nothing is known of the examples, of their order or of the metric. Taken for granted: what is left is normal, the same
    for all rows, and the rows it is measured on were not chosen by their scores on the share.
    """

    shift: Floats
    spread: Floats
    rows: int

    @classmethod
    def of(cls, part: Floats, whole: Floats) -> PartError:
        """From the same two or more rows on the share and wholly, (n, a) each."""
        off = part - whole
        return cls(off.mean(axis=0), off.std(axis=0, ddof=1), len(off))


def beaten(
    part: Floats, error: PartError, known: Floats, front: tuple[Floats, Floats], doubt: float
) -> NDArray[np.bool_]:
    """Mask (n,) of the candidates that something dominates, each wrongly with a probability of at most ``doubt``.

    Args:
        part: (n, a) asked objectives of the candidates on the share, minimised.
        error: of that share.
        known: (n, k) the other objectives, which have no error.
        front: (r, a) and (r, k) the same of what was evaluated wholly.
        doubt: for a candidate, half of it against the front and half against the other candidates.

    One dominates another if it is no worse in everything known, and better in everything asked by more than the error.
    Against the front that is a prediction interval of what the candidate would score wholly, and the whole front is one
    test: who is not dominated is no worse than the best of those that are no worse in what is known. Between two candidates
    it is an interval of their difference, in which the shift cancels, and that half of the doubt is divided among a
    candidate's rivals (Bonferroni).
    """
    degrees = error.rows - 1
    to_front = -stdtrit(degrees, doubt / 2) * error.spread * np.sqrt(1 + 1 / error.rows)
    out = (_no_worse(front[1], known) & _better(front[0], part - error.shift, to_front)).any(axis=0)
    rivals = _no_worse(known, known) & ~np.eye(len(part), dtype=bool)
    z = -stdtrit(degrees, doubt / 2 / np.maximum(rivals.sum(axis=0), 1))
    to_each_other = z[:, None] * error.spread * np.sqrt(2)
    return np.asarray(out | (rivals & _better(part, part, to_each_other)).any(axis=0))


def _no_worse(one: Floats, other: Floats) -> NDArray[np.bool_]:
    """(r, n): in anything?"""
    return np.asarray((one[:, None] <= other[None]).all(axis=2))


def _better(one: Floats, other: Floats, by: Floats) -> NDArray[np.bool_]:
    """(r, n): in everything, by more than ``by`` (a,) or (n, a)?"""
    return np.asarray((other[None] - one[:, None] > by).all(axis=2))
