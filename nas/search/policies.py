"""Products of categorical distributions over the genes of a space: what a differentiable search trains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.search.problem import Floats, Rows, Scores
from search_spaces.space import GENE, SearchSpace

RATE = 0.1  # of Adam, in logits a step
DECAY = (0.9, 0.99)  # of its means of the gradient and of its square


class Policies:
    """P policies, each of which draws every gene of a row independently; trained by Adam (Kingma and Ba, arXiv 1412.6980).

    A gene is drawn whether it is active or not, and the row is made canonical: so a policy is one over architectures, and
    what it says of a gene counts only where that gene is active.

    Args:
        space: of the rows.
        count: P.

    Attributes:
        legal: (G, V) which values each gene may have. logits: (P, G, V), 0 at first: all architectures' genes uniform.
    """

    def __init__(self, space: SearchSpace, count: int) -> None:
        self.space = space
        self.legal: NDArray[np.bool_] = np.zeros((len(space.choices), int(space.cardinalities.max())), dtype=bool)
        for g, values in enumerate(space.legal):
            self.legal[g, values] = True
        self.logits: Floats = np.zeros((count, *self.legal.shape))
        self._mean, self._square, self._steps = np.zeros_like(self.logits), np.zeros_like(self.logits), 0

    def probabilities(self, heat: float = 1.0) -> Floats:
        """(P, G, V), summing to 1 over the legal values; ``heat`` above 1 makes them more alike."""
        return softmax(self.logits / heat, self.legal)

    def log_likelihood(self, X: Rows) -> Floats:
        """(P, n) of canonical rows (n, G): a sum over the genes that are active."""
        logs = np.log(np.maximum(self.probabilities(), 1e-300))
        return np.asarray((logs[:, np.arange(X.shape[1]), X] * self.space.active(X)).sum(axis=2))

    def draw(self, uniform: Floats, heat: float = 1.0) -> Rows:
        """Rows (P, n, G), not yet canonical, from numbers (n, G) or (P, n, G) in [0, 1): equal numbers give similar rows."""
        return drawn(self.probabilities(heat), uniform)

    def modes(self) -> Rows:
        """(P, G) the most probable value of every gene, not yet canonical."""
        return np.asarray(self.probabilities().argmax(axis=2), dtype=GENE)

    def descend(self, effects: Floats, temperature: float) -> None:
        """One step of Adam towards lower expected loss.

        Args:
            effects: (P, G, V) the expected loss where a gene has a value, beyond the expected loss; any constant may be added
                for a gene. Their product with the softmax's derivative is the gradient of the expected loss.
            temperature: weight of the entropy of the policies, which is to be large.
        """
        p = self.probabilities()
        loss = np.where(self.legal, effects + temperature * np.log(np.maximum(p, 1e-300)), 0.0)
        gradient = p * (loss - (p * loss).sum(axis=2, keepdims=True))
        self._steps += 1
        self._mean += (1 - DECAY[0]) * (gradient - self._mean)
        self._square += (1 - DECAY[1]) * (gradient**2 - self._square)
        mean = self._mean / (1 - DECAY[0] ** self._steps)
        self.logits = self.logits - RATE * mean / (np.sqrt(self._square / (1 - DECAY[1] ** self._steps)) + 1e-8)


def softmax(logits: Floats, legal: NDArray[np.bool_]) -> Floats:
    """(..., V) probabilities, 0 for what is not ``legal`` (..., V)."""
    shifted = np.where(legal, logits, -np.inf)
    exponentials = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def drawn(probabilities: Floats, uniform: Floats) -> Rows:
    """(P, n, G) values by the inverse of the distribution functions, see `Policies.draw`."""
    sums = probabilities.cumsum(axis=2)
    sums /= sums[:, :, -1:]
    uniform = np.broadcast_to(uniform, (len(sums), *uniform.shape[-2:]))
    return np.asarray((uniform[..., None] >= sums[:, None]).sum(axis=3), dtype=GENE)


class Expectation:
    """The expected score of policies, as an average over draws: the same ones always, so that it is a function of the logits.

    Args:
        policies: of whose space and legal values these are.
        score: (k, G) canonical rows -> (k,) numbers.
        uniform: (n, G) numbers in [0, 1) of which rows are drawn.
        few: of the draws, from which the effects are taken, each as many rows as there are other values to take; all if none.
    """

    def __init__(self, policies: Policies, score: Scores, uniform: Floats, few: int | None = None) -> None:
        self._space, self._legal, self._score = policies.space, policies.legal, score
        self._uniform, self._few = uniform, few
        self._several = self._legal.sum(axis=1) > 1

    def value(self, logits: Floats) -> Floats:
        """(P,) of the policies with logits (P, G, V)."""
        rows = drawn(softmax(logits, self._legal), self._uniform)
        return self._scored(rows.reshape(-1, rows.shape[2])).reshape(rows.shape[:2]).mean(axis=1)

    def effects(self, logits: Floats) -> Floats:
        """(P, G, V) derivative of the value by every probability, where that of the value drawn is 0: every active gene of
        every draw takes all its values in turn, so only the other genes are left to chance."""
        rows = drawn(softmax(logits, self._legal), self._uniform[: self._few])
        count, draws, genes = rows.shape
        flat = rows.reshape(-1, genes)
        other = self._legal[None] & (self._space.active(flat) & self._several)[:, :, None]
        np.put_along_axis(other, flat[:, :, None].astype(np.int64), False, axis=2)
        n, g, value = np.nonzero(other)
        changed = flat[n]
        changed[np.arange(len(n)), g] = value
        change = self._scored(changed) - self._scored(flat)[n]
        found = np.zeros((count, *self._legal.shape))
        np.add.at(found, (n // draws, g, value), change / draws)
        return found

    def _scored(self, X: Rows) -> Floats:
        return np.asarray(self._score(self._space.canonicalise(X)) if len(X) else np.zeros(0), dtype=np.float64)
