"""Pareto tools. Every function takes ``F`` of shape (n, m), finite, every column to be MINIMISED (negate what is to
grow).

Point a dominates point b when a is nowhere larger than b and somewhere smaller; equal points do not dominate each
other. No function loops over the points in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DENT = 0.05  # of a front's range: how far a front must turn back between two knees


def as_points(F: Any, what: str = "F") -> Floats:
    """``F`` as a finite (n, m) float64 matrix; ValueError names what came otherwise."""
    points = np.asarray(F, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(f"{what}: expected a matrix of shape (points, objectives), got shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"{what}: objectives must be finite, row {int(np.argmin(np.isfinite(points).all(1)))} is not")
    return points


def non_dominated(F: Any) -> NDArray[np.bool_]:
    """Mask (n,) of the points that no other point dominates. Copies of a non-dominated point are all kept."""
    points = as_points(F)
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(points, keep_weakly=True), dtype=bool)


def surely_dominated(F: Any, errors: Any) -> NDArray[np.bool_]:
    """Mask (n,) of the points that some other point dominates beyond the errors.

    ``errors`` (n, m), at least 0, are half-widths of intervals around ``F``. Point a surely dominates point b when a
    dominates b and, in at least one objective, their intervals do not touch: ``F[a] + errors[a] < F[b] - errors[b]``. So
    two points whose intervals touch in every objective are never told apart, and where they touch in one, the others
    decide. Errors of 0 give ordinary dominance. Larger errors only take points out of the mask, and no point of the front
    is ever in it: that is why a has to be no worse by the estimates themselves, not merely within the errors.

    Errors of the two points are added, not their squares: errors of one predictor or one split are not independent.
    """
    points, widths = as_points(F), as_points(errors, "errors")
    if widths.shape != points.shape or (widths < 0).any():
        raise ValueError(f"errors: expected numbers of at least 0 of shape {points.shape}, got shape {widths.shape}")
    dominated = np.zeros(len(points), dtype=bool)
    for column in range(points.shape[1]):
        worst, best = points.copy(), points.copy()  # of a, and of b
        worst[:, column] += widths[:, column]
        best[:, column] -= widths[:, column]
        worst = np.unique(worst[non_dominated(worst)], axis=0)  # what beats b through another a, one of these beats
        within = np.ones((len(worst), len(points)), dtype=bool)
        for other in range(points.shape[1]):
            compare = np.less if other == column else np.less_equal
            within &= compare(worst[:, other, None], best[None, :, other])
        dominated |= within.any(axis=0)
    return dominated


def ranks(F: Any) -> NDArray[np.int64]:
    """Non-dominated sorting: (n,) integers, 0 for the front, 1 for the front of what is left, and so on.

    Source: Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002.
    """
    points = as_points(F)
    if len(points) == 0:
        return np.zeros(0, dtype=np.int64)
    if points.shape[1] != 2:
        return np.asarray(moocore.pareto_rank(points), dtype=np.int64)
    by_last = np.argsort(points[:, 1])  # numpy sorts them faster than moocore, which has little left to do then
    rank = np.empty(len(points), dtype=np.int64)
    rank[by_last] = moocore.pareto_rank(points.take(by_last, axis=0))
    return rank


def crowding_distance(F: Any, rank: NDArray[np.integer] | None = None) -> Floats:
    """Crowding distance (n,) of every point within its own rank (Deb et al. 2002); larger is lonelier.

    ``rank`` (n,) defaults to one rank for all. The ends of each objective get infinity; an objective without spread
    adds nothing. All ranks are done in one sort per objective.
    """
    points = as_points(F)
    n = len(points)
    group = np.zeros(n, dtype=np.int64) if rank is None else np.asarray(rank)
    if group.shape != (n,):
        raise ValueError(f"rank: expected shape ({n},), got {group.shape}")
    distance = np.zeros(n)
    if n == 0:
        return distance
    in_order = np.sort(group, kind="stable")
    ends = np.append(np.flatnonzero(in_order[1:] != in_order[:-1]), n - 1)  # of the groups, in every order below
    sizes = np.diff(ends, prepend=-1)
    starts = ends - sizes + 1
    for value in points.T:
        order = np.lexsort((value, group))
        value = value[order]
        spread = np.repeat(value[ends] - value[starts], sizes)
        gap = np.zeros(n)
        gap[1:-1] = value[2:] - value[:-2]
        step = np.divide(gap, spread, out=np.zeros(n), where=spread > 0)
        step[starts] = step[ends] = np.inf
        distance[order] += step
    return distance


def order(F: Any, most: int | None = None) -> NDArray[np.int64]:
    """Indices (n,) of the points from best to worst: by rank, then lonelier first, then in the order given.

    With ``most`` only so many of the best; ranks of which none is among them are not sorted further.
    """
    points = as_points(F)
    rank = ranks(points).astype(np.min_scalar_type(len(points)))  # few bits: numpy sorts them by counting
    if most is None or most >= len(points):
        return np.lexsort((-crowding_distance(points, rank), rank))
    kept = np.flatnonzero(rank <= np.partition(rank, most - 1)[most - 1])
    rank = rank[kept]
    distance = crowding_distance(points.take(kept, axis=0), rank)
    return kept[np.lexsort((-distance, rank))[:most]]


def hypervolume(F: Any, reference: Sequence[float] | Floats) -> float:
    """Volume dominated by ``F`` and bounded by ``reference`` (m,), the worst acceptable value of each objective.

    Points that do not dominate the reference add nothing; without any the volume is 0. Computed by moocore (Fonseca,
    Paquete and Lopez-Ibanez 2006).
    """
    points = as_points(F)
    bound = np.asarray(reference, dtype=np.float64)
    if bound.shape != (points.shape[1],) or not np.isfinite(bound).all():
        raise ValueError(f"reference: expected {points.shape[1]} finite numbers, one an objective, got {reference!r}")
    return float(moocore.hypervolume(points, ref=bound)) if len(points) else 0.0


def hypervolume_curve(F: Any, reference: Sequence[float] | Floats) -> Floats:
    """Hypervolume (n,) of the first 1, 2, ... n points; it never falls.

    Only the running front is kept, and the volume is computed again only where a point joins it.
    """
    points = as_points(F)
    bound = np.asarray(reference, dtype=np.float64)
    curve = np.zeros(len(points))
    front = points[:0]
    volume = hypervolume(front, bound)
    for i, point in enumerate(points):
        if not (front <= point).all(axis=1).any():
            front = np.vstack((front[~(point <= front).all(axis=1)], point[None]))
            volume = hypervolume(front, bound)
        curve[i] = volume
    return curve


def knee(F: Any) -> int:
    """Index of the knee: the front's point farthest from the hyperplane through its extremes, towards the ideal point.

    Objectives are scaled to [0, 1] over the front first, which makes it the point of the smallest sum; an objective
    without spread has no say. Source: Das, "On characterizing the knee of the Pareto curve", 1999. ValueError without
    any point.
    """
    points = as_points(F)
    if len(points) == 0:
        raise ValueError("F: a knee needs at least one point, got none")
    members = np.flatnonzero(non_dominated(points))
    front = points[members]
    low, spread = front.min(axis=0), np.ptp(front, axis=0)
    scaled = np.divide(front - low, spread, out=np.zeros_like(front), where=spread > 0)
    return int(members[np.argmin(scaled.sum(axis=1))])


def knees(F: Any) -> NDArray[np.int64]:
    """Indices of the knees of a front of two objectives: `knee` first, then, the most prominent first, the members between the
    ends that lie farther towards the ideal point than what is around them.

    Farther by what `knee` measures, the sum of the scaled objectives: the minimum Manhattan distance (Chiu, Yen and Juan,
    "Minimum Manhattan distance approach to multiple criteria decision making in multiobjective optimization problems", 2016),
    here of neighbourhoods, as a front may have several knees (Rachmawati and Srinivasan, "Multiobjective evolutionary algorithm
    with controllable focus on the knees of the Pareto front", 2009). On both sides of a knee the sum must rise by a twentieth
    of the front's range before a better one comes: lesser dents are what any finite sample of a smooth front has.

    ValueError without any point, or with other than two objectives.
    """
    from scipy.signal import find_peaks  # lazily: it is slow to import, and only picks need it

    points = as_points(F)
    if points.shape[1] != 2:
        raise ValueError(
            f"F: several knees need two objectives, along which members have neighbours; got {points.shape[1]}"
        )
    first = knee(points)
    members = np.flatnonzero(non_dominated(points))
    members = members[np.argsort(points[members, 1], kind="stable")]
    members = members[np.r_[True, (np.diff(points[members], axis=0) != 0).any(axis=1)]]  # copies are one place
    front = points[members]
    spread = np.ptp(front, axis=0)
    sums = np.divide(front - front.min(axis=0), spread, out=np.zeros_like(front), where=spread > 0).sum(axis=1)
    peaks, facts = find_peaks(-sums, prominence=DENT, plateau_size=1)
    at = np.flatnonzero(members == first)[0]
    others = (facts["left_edges"] > at) | (facts["right_edges"] < at)
    deepest = np.argsort(-facts["prominences"][others], kind="stable")
    return np.r_[first, members[peaks[others][deepest]]].astype(np.int64)
