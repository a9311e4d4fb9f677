"""Scores in the order of asking, from workers that are never kept waiting: what is asked for next is evaluated ahead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice

from nas.search.evaluation import Task, Workers
from nas.search.trials import Trials
from search_spaces import Architecture


class Stream:
    """Evaluates what is submitted, and passes the scores on in that order, whatever order they come in.

    Args:
        workers: who evaluates here.
        trials: the study through which others evaluate, too; or None.
        keep: called with every architecture submitted and its score.
    """

    def __init__(self, workers: Workers, trials: Trials | None, keep: Callable[[Architecture, float], None]) -> None:
        self._workers, self._trials, self._keep = workers, trials, keep
        self._open: dict[str, Architecture] = {}  # by hash, submitted and not kept yet, in order
        self._due = 0  # how many of the first open ones are waited for
        self._found: dict[str, float] = {}  # scores of open ones that wait for their turn
        self._begun: dict[Task, Architecture] = {}  # what our workers do now
        self._answers: Iterator[tuple[Task, float]] = iter(())  # of the workers; at its end nothing runs

    def submit(self, architectures: Iterable[Architecture]) -> list[Architecture]:
        """Let these be evaluated, by whoever is free; those that were not submitted before."""
        new = {a.hash: a for a in architectures if a.hash not in self._open}
        self._open |= new
        return list(new.values())

    def wait(self, hashes: Collection[str]) -> None:
        """Until these are kept. Workers go on with what was submitted after them; if nothing was, nothing runs any more."""
        self._due = max((place for place, name in enumerate(self._open, 1) if name in hashes), default=0)
        self._look()  # what others told meanwhile, or before this process was started
        while self._due or not self._open:
            answer = next(self._answers, None)
            if answer is None:
                self._begun.clear()
                if not self._open:
                    return
                self._answers = self._workers.scores(_Draws(self._draw))
                continue
            task, value = answer
            architecture = self._begun.pop(task)
            if architecture.hash in self._open:
                self._found.setdefault(architecture.hash, value)
            self._pass_on()
            if self._trials is not None:
                self._trials.tell({architecture: value})
            if self._due and Task(next(iter(self._open.values())).genes) not in self._begun:
                self._look()  # somebody else has what is waited for

    def _pass_on(self) -> None:
        """Keep what is done of the first ones; the rest waits for its turn."""
        while self._open and (name := next(iter(self._open))) in self._found:
            self._keep(self._open.pop(name), self._found.pop(name))
            self._due = max(self._due - 1, 0)

    def _look(self) -> None:
        """What others told."""
        if self._trials is not None and self._open:
            told = self._trials.scores()
            self._found = {name: told[name] for name in self._open if name in told} | self._found
        self._pass_on()

    def _draw(self) -> Task | None:
        """What to evaluate next here; None where there is nothing now."""
        left = self._open.keys() - self._found.keys() - {a.hash for a in self._begun.values()}
        if not left:
            return None
        if self._trials is None:
            name = next(name for name in self._open if name in left)
        elif (taken := self._trials.take(left)) is not None:
            name = taken.hash
        else:  # what others hold is evaluated here too rather than waited for
            self._look()
            held = (name for name in islice(self._open, self._due) if name in left and name not in self._found)
            if not (name := next(held, "")):
                return None
        task = Task(self._open[name].genes)
        self._begun[task] = self._open[name]
        return task


class _Draws(Iterator[Task]):
    """Tasks as they are drawn. It may have more after it had none: what was submitted while workers were busy."""

    def __init__(self, draw: Callable[[], Task | None]) -> None:
        self._draw = draw

    def __next__(self) -> Task:
        task = self._draw()
        if task is None:
            raise StopIteration
        return task
