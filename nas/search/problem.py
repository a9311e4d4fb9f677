"""What a search is told before it starts: the space, the objectives, the limits and the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError
from nas.search.goals import charge, check_goals, price
from nas.search.resolution import check_resolution, in_boxes, in_shares
from predictors import Features, features_of
from search_spaces.space import SearchSpace

Rows = NDArray[np.int16]
Floats = NDArray[np.float64]
Scores = Callable[[Rows], Floats]  # (n, G) rows -> (n,) numbers
Evaluate = Callable[..., Floats]  # Scores that may take, after the rows, the share of the examples to look at


class Gradient(Protocol):
    """What every choice would change, to first order, in a loss that the first asked objective goes with.

    Called with rows (n, G): their losses (n,), smaller is better, and the changes of the loss (n, G, V) where a gene has
    another value: 0 for the row's own, nan where nothing is known. A function of the rows alone.
    """

    @property
    def cost(self) -> Fraction:
        """Of one row, in whole evaluations."""

    def __call__(self, X: Rows) -> tuple[Floats, Floats]: ...


@dataclass(frozen=True)
class Problem:
    """What every searcher knows before it starts. Every objective is to be minimised.

    Attributes:
        space: what is searched.
        evaluations: the whole budget, which searchers may use to plan. An evaluation on a share of the examples costs that
            share of one.
        population: how many are kept to breed from.
        asked: names of the objectives that only an evaluation tells.
        known: the other objectives by name, cheap and vectorised: (n, G) rows -> (n,), e.g. latencies from tables.
        limits: hard limits on known objectives by name: only rows within all of them are ever asked for.
        goals: soft limits on known objectives by name: rows above one are asked for too, and pay for it in what is asked (see
            `nas.search.goals`).
        resolution: by name, what differs by less counts as equal for ranking (see `nas.search.resolution`): in the unit of an
            asked objective, and as a share of a known one.
        seed: of all that is random.
        start: (k, G) rows that are asked for first, where they are feasible.
        batch: rows asked for at once; the population if none.
        window: rows that stay out while there is budget: as soon as fewer are, the next batch is asked for. With 1, a batch is
            asked for when all of the last one are told.
        encoding: features of rows for predictors; those that suit the space if none.
        shares: whether what evaluates takes, after the rows, a share of the examples: always the first ones, so that all rows
            answer the same questions.
        gradient: of the loss of rows by their choices, where what evaluates can tell; only some searchers ask for it.
    """

    space: SearchSpace
    evaluations: int
    population: int
    asked: tuple[str, ...] = ("-quality",)
    known: Mapping[str, Scores] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)
    resolution: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    start: Rows | None = None
    batch: int | None = None
    window: int = 1
    encoding: Features | None = None
    shares: bool = False
    gradient: Gradient | None = None

    def __post_init__(self) -> None:
        for key in ("evaluations", "population", "window"):
            value = getattr(self, key)
            if value < 1:
                raise JobError(f"{key}: must be at least 1, got {value}")
        if self.batch is not None and self.batch < 1:
            raise JobError(f"batch: must be at least 1, got {self.batch}")
        for name, limit in self.limits.items():
            if name not in self.known:
                raise JobError(f"limits: got {name!r}; legal: the known objectives {', '.join(self.known) or '(none)'}")
            if not limit > 0:
                raise JobError(f"max_{name}: must be a positive number, got {limit}")
        check_goals(self.goals, self.known, self.limits)
        check_resolution(self.resolution, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The objectives (m,): what is asked, then what is known."""
        return (*self.asked, *self.known)

    @cached_property
    def features(self) -> Features:
        """Of rows, for predictors."""
        return self.encoding or features_of(self.space)

    def known_exactly(self, X: Rows) -> Floats:
        """(n, k) the known objectives of rows (n, G); JobError when one answers with something else than numbers."""
        return np.column_stack([np.zeros((len(X), 0)), *(self._value(name, X) for name in self.known)])

    def known_values(self, X: Rows) -> Floats:
        """(n, k) the known objectives of rows (n, G) as they are ranked: at their resolution."""
        return self._resolved(self.known_exactly(X), len(self.asked))

    def charged(self, F: Floats) -> Floats:
        """Objectives (n, m) with what rows above a goal pay for it."""
        if not self.goals:
            return F
        asked = len(self.asked)
        columns = [asked + list(self.known).index(name) for name in self.goals]
        factors = price(F[:, columns], np.array(list(self.goals.values())))
        return np.column_stack((charge(F[:, :asked], factors), F[:, asked:]))

    def ranked(self, F: Floats) -> Floats:
        """Objectives (n, m) as rows are ranked by them: charged, and at their resolution."""
        return self._resolved(self.charged(F), 0)

    def _resolved(self, F: Floats, start: int) -> Floats:
        """Objectives (n, k), those from place ``start`` on, at their resolution."""
        if not self.resolution:
            return F
        asked, names = len(self.asked), self.names[start:]
        boxes = [in_boxes] * (asked - start) + [in_shares] * len(self.known)
        columns = [
            box(values, self.resolution[name]) if name in self.resolution else values
            for name, box, values in zip(names, boxes, F.T, strict=True)
        ]
        return np.column_stack((np.zeros((len(F), 0)), *columns))

    def excess(self, X: Rows) -> Floats:
        """(n,) by how much of a limit rows (n, G) are over it, where that is most; 0 and less is feasible."""
        over = [(self._value(name, X) - limit) / limit for name, limit in self.limits.items()]
        return np.max(over, axis=0) if over else np.zeros(len(X))

    def feasible(self, X: Rows) -> NDArray[np.bool_]:
        """Mask (n,) of the rows within every limit."""
        return np.asarray(self.excess(X) <= 0)

    def _value(self, name: str, X: Rows) -> Floats:
        if len(X) == 0:
            return np.zeros(0)
        values = np.asarray(self.known[name](X), dtype=np.float64)
        if values.shape != (len(X),) or not np.isfinite(values).all():
            raise JobError(
                f"{name}: expected {len(X)} finite numbers, got shape {values.shape} (or values that are not finite)"
            )
        return values
