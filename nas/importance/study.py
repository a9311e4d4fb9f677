"""Which choices and which pairs of operators carry what a run's architectures score, and what they take on its devices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.errors import JobError
from nas.importance.correlation import Correlation, correlation
from nas.metric import Metric
from nas.search.study import evaluated_rows
from nas.session import Session, read_front
from predictors.ceiling import COVERED
from predictors.choice_latency import ChoiceLatency
from predictors.importance import ImportanceModel
from predictors.marginal import pools
from predictors.subsequences import pair_effects
from search_spaces import Architecture, SearchSpace

Floats = NDArray[np.float64]
Rows = NDArray[np.int16]
FEWEST = 10  # evaluations
MOST = 1500  # that are fitted: the time grows with the cube
SAMPLE = 600  # networks that say what a choice takes on a device


class Untold(JobError):
    """The evaluations of a run cannot tell. ``why``: what the run is or has, without saying where it lies."""

    def __init__(self, session: Session, why: str, legal: str) -> None:
        super().__init__(f"run {session.run.path}: {why}; legal: {legal}")
        self.why = f"this run {why}; legal: {legal}"


@dataclass(frozen=True)
class Importance:
    """Attributes: space, metric: of the run. evaluations: how many different architectures were evaluated. held_out: of the
    choices, held_out_pairs: of the pairs. score: the model, of scores of which more is better. latency: of each device.
    front: (m, G) rows of all fronts. choices, pairs: see `study`."""

    space: SearchSpace
    metric: Metric
    evaluations: int
    held_out: Correlation
    held_out_pairs: Correlation
    score: ImportanceModel
    latency: dict[str, ChoiceLatency]
    front: Rows
    choices: pd.DataFrame
    pairs: pd.DataFrame

    @property
    def verdict(self) -> str:
        """Whether the evaluations are enough to tell, in one sentence."""
        start = f"{self.evaluations} evaluations; left out, they are ranked with Spearman {self.held_out.text}"
        if self.held_out.tells:
            return start
        return f"{start}: too few to tell what carries {self.metric.title}"

    @property
    def verdict_on_pairs(self) -> str:
        """The same of pairs."""
        start = f"what choices alone miss is ranked by pairs with Spearman {self.held_out_pairs.text}"
        return start if self.held_out_pairs.tells else f"{start}: too few to tell any pair from the sum of its parts"

    def amount(self, gain: float, half: float | None = None) -> str:
        """'+1.23 %', or with half of its interval '+1.23 ±0.45 %' (a no-break space): a gain of the metric, with one digit more
        than a value of it."""
        digits = self.metric.digits + 1
        off = "" if half is None else f"\u00a0±{self.metric.scale * half:.{digits}f}"
        return f"{self.metric.scale * gain:+.{digits}f}{off}{self.metric.unit}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: the figures and both tables."""
        correlations = {"held_out": self.held_out, "held_out_pairs": self.held_out_pairs}
        return {
            "space": self.space.name,
            "metric": self.metric.name,
            "evaluations": self.evaluations,
            **{name: {**vars(found), "tells": found.tells} for name, found in correlations.items()},
            "choices": _records(self.choices),
            "pairs": _records(self.pairs),
        }


def study(session: Session) -> Importance:
    """What was learnt from all evaluations of a searched run.

    The table of choices has the columns gene (``*`` for the numbers of stages and layers), value, importance (what the metric
    gains, in its own unit, where more is better for both directions of metrics), low, high (90 % interval), seen (in how many
    evaluations), and for each device ``ms_DEVICE``, what the value takes there beyond the mean of its gene, with its 90 %
    interval ``low_ms_DEVICE`` and ``high_ms_DEVICE``; those that carry most first. A choice counts with what it activates (see
    `predictors.marginal`). The interval of a gain covers what the evaluations leave open; that of a latency how far the
    predictor may be off, as if all of that were owed to single choices (see `ChoiceLatency`), and is nan where the predictor
    does not know it. The table of pairs: first, second, effect (beyond the two alone), low, high, seen.

    Raises:
        Untold: the run has no genes of its evaluations, or fewer than `FEWEST` of them; JobError: it was not searched.
    """
    space, metric = session.space, session.data.metric
    X, scores = evaluations(session)
    model = ImportanceModel(space).fit(X, scores)
    held_out = correlation(model.left_out, scores)
    pairs = pair_effects(space, X, scores - model.left_out)
    sample = space.sample(SAMPLE, np.random.default_rng(session.job.seed))
    latency = {
        device.name: ChoiceLatency(space, sample, session.predictor(device).predict(sample))
        for device in session.job.devices
    }
    fronts = [Architecture.from_lines(read_front(session.run, device)["genes"]) for device in session.job.devices]
    front = space.matrix(Architecture(space, a.genes) for members in fronts for a in members)
    found = pools(space, model.terms)
    shares = np.array([pool.shares for pool in found])
    value, error = model.sums(shares)
    active = space.active(X)
    columns: dict[str, Any] = {
        "gene": [pool.gene for pool in found],
        "value": [pool.value for pool in found],
        "importance": value,
        "low": value - COVERED * error,
        "high": value + COVERED * error,
        "seen": [int(np.any([active[:, g] & (X[:, g] == v) for g, v in pool.places], axis=0).sum()) for pool in found],
    }
    for name, one in latency.items():
        ms, off = one.sums(shares)
        columns |= {f"ms_{name}": ms, f"low_ms_{name}": ms - COVERED * off, f"high_ms_{name}": ms + COVERED * off}
    choices = pd.DataFrame(columns).sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    columns = {
        "first": [first for first, _ in pairs.names],
        "second": [second for _, second in pairs.names],
        "effect": pairs.effect,
        "low": pairs.effect - COVERED * pairs.error,
        "high": pairs.effect + COVERED * pairs.error,
        "seen": pairs.seen,
    }
    together = pd.DataFrame(columns).sort_values("effect", ascending=False, kind="stable", ignore_index=True)
    held_out_pairs = correlation(pairs.left_out, scores - model.left_out)
    return Importance(
        space, metric, len(X), held_out, held_out_pairs, model, latency, front, choices, together
    )  # fmt: skip


def evaluations(session: Session) -> tuple[Rows, Floats]:
    """Rows (n, G) of the different architectures that the run's searches evaluated, at most `MOST` drawn of them, and their
    scores (n,), of which more is better.

    Raises:
        Untold, JobError: see `study`.
    """
    found: dict[bytes, tuple[NDArray[np.int16], float]] = {}
    for device in session.job.devices:
        read_front(session.run, device)  # it was searched
        table = pd.read_parquet(session.run.file(f"search/{device.name}.parquet"))
        rows = evaluated_rows(table)
        if rows is None:
            raise Untold(
                session, "was searched by an earlier release, which kept no genes",
                "a run searched by this one (`nas search` in a new directory)",
            )  # fmt: skip
        for row, value in zip(
            rows, session.data.metric.oriented(table[session.data.metric.name].to_numpy()), strict=True
        ):
            found[row.tobytes()] = row, float(value)
    if len(found) < FEWEST:
        raise Untold(session, f"has {len(found)} evaluations", f"at least {FEWEST} (search.evaluations)")
    X, scores = np.array([row for row, _ in found.values()]), np.array([score for _, score in found.values()])
    kept = np.sort(np.random.default_rng(session.job.seed).permutation(len(X))[:MOST])
    return X[kept], scores[kept]


def ends(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """The first and the last ``count`` rows of a table; all, where these are no fewer."""
    return table if len(table) <= 2 * count else pd.concat([table[:count], table[-count:]])


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain JSON values, None for nan."""
    return [{str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
