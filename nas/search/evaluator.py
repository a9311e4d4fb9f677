"""`evaluate` of a job's searches: each architecture is scored once, wherever there is a worker free, and never lost."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack

import numpy as np

from nas.run import RunDirectory
from nas.search.evaluation import Evaluation, Task, Workers
from nas.search.inherited_gates import InheritedGates
from nas.search.problem import Floats, Rows
from nas.search.stream import Stream
from nas.search.trials import Trials
from search_spaces import Architecture
from search_spaces.space import row_keys

CACHE = "search/evaluations.csv"
PARTIAL = "search/partial-evaluations.csv"  # of part of the examples


class InheritedQuality:
    """``evaluate`` for `nas.search.run_search`: rows ``(n, G)`` -> qualities ``(n,)``, of which more is better.

    Every answer is appended to the run's ``search/evaluations.csv`` before it is used, in the order in which it was asked
    for, so no network is scored twice, neither by another searcher, seed or device nor after a kill; and a network's score
    does not depend on who computes it. A context manager, which closes the workers.

    Args:
        run: holds the cache.
        evaluation: what a score is.
        workers: who computes it.
        trials: the study that shows the evaluations, and shares them with the workers of other machines; or None.
    """

    def __init__(
        self, run: RunDirectory, evaluation: Evaluation, workers: Workers, trials: Trials | None = None
    ) -> None:
        self._run, self._evaluation, self._workers, self._trials = run, evaluation, workers, trials
        self._metric = evaluation.data.metric
        self._known = {row["hash"]: float(row[self._metric.name]) for row in run.read_rows(CACHE)}
        self._partial = {
            (row["hash"], int(row["examples"])): float(row[self._metric.name]) for row in run.read_rows(PARTIAL)
        }
        self._shown: set[str] = set()  # hashes that the study has
        self._built: dict[bytes, Architecture] = {}  # of rows submitted and not asked for yet
        self._stream = Stream(workers, trials, self._keep)
        self.gradient = InheritedGates(run, evaluation)  # which searches that want gradients ask

    def __enter__(self) -> InheritedQuality:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with ExitStack() as stack:
            stack.callback(self._workers.close)
            if self._trials is not None and kind is None:
                self._trials.finish()

    def __call__(self, rows: Rows, share: float = 1.0) -> Floats:
        """Qualities (n,) of rows, on this share of the search examples (the first ones)."""
        architectures = self._architectures(rows)
        examples = max(1, round(share * self._evaluation.examples))
        if examples < self._evaluation.examples:
            return self._on_part(architectures, examples)
        self._submit(architectures)
        self._stream.wait({a.hash for a in architectures})
        return self._metric.oriented(np.array([self._known[a.hash] for a in architectures]))

    def submit(self, rows: Rows) -> None:
        """Rows (n, G) that will be asked for, on all examples: workers go on with them while others are waited for."""
        architectures = self._architectures(rows)
        self._built |= zip(row_keys(rows), architectures, strict=True)
        self._submit(architectures)

    def standard_error(self) -> float:
        """Of one quality: that of a network of the largest sizes, evaluated here and wholly."""
        space = self._evaluation.supernet.space
        (row,) = space.largest(space.sample(1, np.random.default_rng(self._evaluation.job.seed)))
        return self._evaluation.measured(Task(space.architecture(row).genes)).standard_error

    def _architectures(self, rows: Rows) -> list[Architecture]:
        space = self._evaluation.supernet.space
        return [
            self._built.pop(key) if key in self._built else space.architecture(row)
            for key, row in zip(row_keys(rows), rows, strict=True)
        ]

    def _submit(self, architectures: list[Architecture]) -> None:
        new = self._stream.submit(a for a in architectures if a.hash not in self._known)
        if self._trials is not None:
            self._show({a: self._known[a.hash] for a in architectures if a.hash in self._known}, new)

    def _keep(self, architecture: Architecture, value: float) -> None:
        self._run.append_rows(CACHE, [{"hash": architecture.hash, self._metric.name: repr(value)}])
        self._known[architecture.hash] = value

    def _show(self, known: dict[Architecture, float], unknown: Collection[Architecture]) -> None:
        """The study gets what is known, where an earlier one did not get it, and what is to be evaluated."""
        assert self._trials is not None
        if not self._shown:
            self._trials.begin()
        if new := {a: value for a, value in known.items() if a.hash not in self._shown}:
            self._trials.tell(new)
        if unknown:
            self._trials.offer(unknown)
        self._shown |= {a.hash for a in (*known, *unknown)}

    def _on_part(self, architectures: list[Architecture], examples: int) -> Floats:
        tasks = {Task(a.genes, examples): a for a in architectures if (a.hash, examples) not in self._partial}
        for task, value in self._workers.scores(tasks) if tasks else ():
            name = tasks[task].hash
            self._run.append_rows(PARTIAL, [{"hash": name, "examples": examples, self._metric.name: repr(value)}])
            self._partial[name, examples] = value
        return self._metric.oriented(np.array([self._partial[a.hash, examples] for a in architectures]))
