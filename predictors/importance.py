"""Module importance: which operators and places carry a score, each with its error.

Source: Mills et al., "Building optimal neural architectures using interpretable knowledge" (AutoBuild, arXiv 2403.13293),
whose idea this is: learn what every architecture module adds from a few evaluated architectures, then build from the best. The
model here is linear, so that what it says can be added up: a ridge regression in closed form, which is a Gaussian process
with a linear kernel (Rasmussen and Williams, 2006, section 2.1), its penalty chosen by leave-one-out (section 5.4).
"""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predictors.errors import PredictorError
from predictors.threads import one_thread
from search_spaces.space import SearchSpace

Floats = NDArray[np.float64]
PENALTIES = np.geomspace(1e-2, 1e3, 16)  # noise variances, in that of a term


class ImportanceModel:
    """A score as a sum over terms: one for every value of every gene, where that gene is active.

    Terms that differ in the number of their place alone (``stage1.layer2.mixer`` = mhsa, in any stage and layer) are
    expected to add alike: a part of what each adds is its own, a part is common to those of a stage, and a part to all. So an
    operator that was seen at some places is known a little at all others.

    Args:
        space: of the architectures.

    Attributes:
        terms: T times the gene and which of its values. weights: (T,) what each adds, in units of the score.
        constant: the sum over no term. left_out: (n,) predictions of the scores of the fit, each left out of it.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        legal = [(g, int(value)) for g in range(len(space.choices)) for value in space.legal[g]]
        self.terms: tuple[tuple[int, int], ...] = tuple(legal)
        width = int(space.cardinalities.max())
        self._at = np.full((len(space.choices), width), len(legal), np.int64)  # of a (gene, value): which term
        self._at[tuple(np.array(legal).T)] = np.arange(len(legal))
        self.weights: Floats | None = None

    @cached_property
    def _prior(self) -> Floats:
        """(T, T) covariance of the terms before anything is seen, in the variance of one part."""
        prior = np.eye(len(self.terms))
        for everywhere in (True, False):
            groups: dict[tuple[str, object], list[int]] = {}
            for t, (gene, value) in enumerate(self.terms):
                choice = self._space.choices[gene]
                first, _, rest = choice.name.partition(".")
                place = re.sub(r"\d+", "*", first) if everywhere else first
                groups.setdefault((f"{place}.{re.sub(r'[0-9]+', '*', rest)}", choice.values[value]), []).append(t)
            for group in groups.values():
                if len(group) > 1:
                    prior[np.ix_(group, group)] += 1.0
        return prior

    @one_thread
    def fit(self, X: NDArray[np.integer], scores: Floats) -> ImportanceModel:
        """Learn from canonical rows (n, G) and scores (n,), n >= 2.

        Raises:
            PredictorError: these are not rows of the space, or not as many finite scores.
        """
        y = np.asarray(scores, dtype=np.float64)
        X = np.asarray(X)
        if len(X) < 2 or y.shape != (len(X),) or not np.isfinite(y).all():
            raise PredictorError(
                f"scores: expected at least 2 finite numbers, one a row of {len(X)}, got shape {y.shape}"
            )
        Z = self._one_hot(X)
        self._mean, self._centre = float(y.mean()), Z.mean(axis=0)
        self._Z = Z - self._centre
        self._ZS = self._Z @ self._prior
        values, vectors = np.linalg.eigh(self._ZS @ self._Z.T)
        values = np.maximum(values, 0.0)
        projected = vectors.T @ (y - self._mean)
        best, least = float(PENALTIES[-1]), np.inf
        for penalty in PENALTIES * max(float(values.mean()), 1e-12):
            shrink = values / (values + penalty)
            own = 1.0 / len(y) + (vectors**2) @ shrink  # what each score says of itself
            missed = (y - self._mean - vectors @ (shrink * projected)) / np.maximum(1.0 - own, 1e-9)
            if (missed**2).sum() < least:
                best, least, self.left_out = float(penalty), float((missed**2).sum()), y - missed
        self._vectors, self._inverse, self._penalty = vectors, 1.0 / (values + best), best
        # of the parts of a term: the likeliest one, given the penalty
        self._variance = float((projected**2 * self._inverse).mean())
        self._target = y - self._mean
        self.weights = self._ZS.T @ self._solved(self._target)
        self.constant = self._mean - float(self._centre @ self.weights)
        self._seen = Z.sum(axis=0)
        return self

    def __call__(self, X: NDArray[np.integer]) -> Floats:
        """(n,) scores of canonical rows (n, G): the constant, and the weights of the terms that they have."""
        weights = self._fitted()
        return self.constant + self.score(X, weights)

    def score(self, X: NDArray[np.integer], weights: Floats) -> Floats:
        """(n,) sums of ``weights`` (T,) over the terms of canonical rows (n, G)."""
        return np.asarray(np.append(weights, 0.0)[self._which(X)].sum(axis=1))

    @one_thread
    def draw(self, rng: np.random.Generator) -> Floats:
        """(T,) weights drawn from those that the scores leave possible: the posterior, by Matheron's rule."""
        weights = self._fitted()
        spread = np.sqrt(self._variance)
        drawn = spread * (self._root @ rng.standard_normal(len(weights)))
        noise = spread * np.sqrt(self._penalty) * rng.standard_normal(len(self._Z))
        return np.asarray(drawn + self._ZS.T @ self._solved(self._target - self._Z @ drawn - noise))

    @one_thread
    def table(self) -> pd.DataFrame:
        """Columns gene, value, importance, error, seen: the terms, those that add most first.

        The importance of a term is what it adds to the score beyond the mean of its gene's values, with its standard error;
        seen is in how many rows of the fit it was.
        """
        weights = self._fitted()
        half = (self._vectors * np.sqrt(self._inverse)).T @ self._ZS  # what the scores took from the prior covariance
        left = np.diag(self._centred(self._centred(self._prior).T)) - (self._centred(half) ** 2).sum(axis=0)
        columns = {
            "gene": [self._space.choices[g].name for g, _ in self.terms],
            "value": [self._space.choices[g].values[value] for g, value in self.terms],
            "importance": self._centred(weights),
            "error": np.sqrt(self._variance * np.maximum(left, 0.0)),
            "seen": self._seen.astype(int),
        }
        return pd.DataFrame(columns).sort_values("importance", ascending=False, kind="stable", ignore_index=True)

    @one_thread
    def sums(self, shares: Floats) -> tuple[Floats, Floats]:
        """Values (k,) and standard errors (k,) of sums of the terms' weights, so much of each: shares (k, T)."""
        weights = self._fitted()
        half = (self._vectors * np.sqrt(self._inverse)).T @ (self._ZS @ shares.T)
        left = np.einsum("kt,tk->k", shares, self._prior @ shares.T) - (half**2).sum(axis=0)
        return shares @ weights, np.sqrt(self._variance * np.maximum(left, 0.0))

    @one_thread
    def spread_of_sums(self, shares: Floats) -> Floats:
        """(k,) standard deviations of the same sums before anything was seen, where scores of the rows of the fit vary by 1
        (root mean square)."""
        self._fitted()
        varied = float((self._ZS * self._Z).sum(axis=1).mean())
        return np.sqrt(np.einsum("kt,tk->k", shares, self._prior @ shares.T) / max(varied, 1e-12))

    @cached_property
    def _root(self) -> Floats:
        return np.asarray(np.linalg.cholesky(self._prior))

    def _centred(self, values: Floats) -> Floats:
        """(..., T) less the mean over the terms of the same gene."""
        gene = np.array([g for g, _ in self.terms])
        first = np.flatnonzero(np.diff(gene, prepend=-1))
        return np.asarray(values - (np.add.reduceat(values, first, axis=-1) / np.bincount(gene))[..., gene])

    def _solved(self, target: Floats) -> Floats:
        return np.asarray(self._vectors @ (self._inverse * (self._vectors.T @ target)))

    def _fitted(self) -> Floats:
        if self.weights is None:
            raise PredictorError("ImportanceModel: call fit(X, scores) first")
        return self.weights

    def _which(self, X: NDArray[np.integer]) -> NDArray[np.int64]:
        """(n, G) the term of every gene of rows (n, G); T where it is inactive. PredictorError: they are no rows."""
        X = np.asarray(X)
        counts = self._space.cardinalities
        if (
            X.ndim != 2
            or X.shape[1] != len(counts)
            or X.dtype.kind not in "iu"
            or (np.clip(X, 0, counts - 1) != X).any()
        ):
            raise PredictorError(
                f"X: expected rows of {len(counts)} genes of {self._space.name!r}, got {X.dtype} of shape {X.shape}"
            )
        found = np.where(self._space.active(X), self._at[np.arange(len(counts)), X], len(self.terms))
        return np.asarray(found)

    def _one_hot(self, X: NDArray[np.integer]) -> Floats:
        found = np.zeros((len(X), len(self.terms) + 1))
        np.put_along_axis(found, self._which(X), 1.0, axis=1)
        return found[:, :-1]
