"""The evaluations of a search as trials of an Optuna study: for its dashboard, and to share a search between machines.

Every architecture that a search asks for becomes a waiting trial; whoever is free takes one, scores it and tells. The
search itself is one of those, so it never waits for anybody: when no trial waits, it evaluates what others hold, and what
is told first counts. A worker that dies costs at most its evaluation.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import optuna
from optuna import Study
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.errors import JobError
from nas.metric import Metric
from nas.run import RunDirectory
from nas.search.optuna_sampler import row_of
from nas.search.problem import Scores
from nas.training.supernet import WEIGHTS
from search_spaces import Architecture, SearchSpace

JOURNAL = "search/study.log"
FINISHED = "finished"  # attribute of a study: its search is over
LEGAL = "a URL such as postgresql://user:password@host/database, or the path of a journal file"
WAITS = (0.2, 1.0, 5.0)  # seconds before an operation on a storage that fails is tried again
Answer = TypeVar("Answer")


class Trials:
    """The study of one search.

    Values of a trial are the metric and a latency in ms for each device; parameters are the active genes by name; user
    attribute ``hash`` is the architecture's.

    A storage that cannot be reached is tried again a few times, then the search goes on without it: what was told in the
    meantime is told again as soon as the storage is back.

    Args:
        storage: URL of an Optuna storage, or the path of a journal file.
        name: of the study, which searches that share it have in common; see `study_name`.
        space: of the architectures.
        metric: what is evaluated.
        latencies: of each device, by its name.
        say: told when the storage is lost, and when it is back.

    Raises:
        JobError: the storage cannot be opened, or has a study of that name with other objectives.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        space: SearchSpace,
        metric: Metric,
        latencies: Mapping[str, Scores],
        say: Callable[[str], None],
    ) -> None:
        self._space, self._latencies, self._say = space, dict(latencies), say
        self._distributions = {choice.name: CategoricalDistribution(choice.values) for choice in space.choices}
        self._untold: dict[Architecture, float] = {}
        self._held: dict[str, int] = {}  # hash -> number in the storage, of trials that were taken here
        self._away = False
        quality = StudyDirection.MAXIMIZE if metric.higher else StudyDirection.MINIMIZE
        directions = [quality, *(StudyDirection.MINIMIZE for _ in latencies)]
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._storage = open_storage(storage)
        self._study: Study = optuna.create_study(
            storage=self._storage, study_name=name, directions=directions, load_if_exists=True
        )
        if self._study.directions != directions:
            raise JobError(f"--storage: study {name} of {shown(storage)} has other objectives; legal: another storage")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "experimental"
            self._study.set_metric_names([metric.name, *(f"{device} ms" for device in latencies)])

    def scores(self) -> dict[str, float]:
        """Hash -> metric of every trial that is done."""
        none: list[FrozenTrial] = []
        done = self._safely(lambda: self._trials(TrialState.COMPLETE), none)
        return {trial.user_attrs["hash"]: trial.values[0] for trial in done if "hash" in trial.user_attrs}

    def offer(self, architectures: Collection[Architecture]) -> None:
        """Let these wait for somebody; those that wait already, are being evaluated or are done, are left as they are."""

        def add() -> None:
            there = self._numbers()
            for architecture in architectures:
                if architecture.hash not in there:
                    self._study.add_trial(self._made(architecture, TrialState.WAITING))

        self._safely(add, None)

    def take(self, hashes: Collection[str] | None = None) -> Architecture | None:
        """One that waits, of these hashes if any are given: it is the caller's to evaluate. None where nothing waits."""

        def first() -> Architecture | None:
            for trial in self._trials(TrialState.WAITING):
                if (hashes is None or trial.user_attrs.get("hash") in hashes) and self._begin(trial._trial_id):
                    row = row_of(trial, self._space)
                    if row is not None:
                        architecture = self._space.architecture(row)
                        self._held[architecture.hash] = trial._trial_id
                        return architecture
            return None

        return self._safely(first, None)

    def tell(self, scores: Mapping[Architecture, float]) -> None:
        """Finish the trials of these architectures; those that have none get one, and a finished one stays as it is."""
        self._untold |= scores

        def add() -> None:
            theirs = {} if all(a.hash in self._held for a in self._untold) else self._numbers()
            for architecture, score in list(self._untold.items()):
                number = self._held.get(architecture.hash, theirs.get(architecture.hash))
                if number is None:
                    self._study.add_trial(self._made(architecture, TrialState.COMPLETE, score))
                else:
                    self._end(number, self._values(architecture, score))
                del self._untold[architecture]

        self._safely(add, None)

    @property
    def finished(self) -> bool:
        """Whether the search is over, so that workers may go home."""
        return self._safely(lambda: bool(self._study.user_attrs.get(FINISHED, False)), False)

    def begin(self) -> None:
        """A search starts: workers may wait for what it offers."""
        self._safely(lambda: self._study.set_user_attr(FINISHED, False), None)

    def finish(self) -> None:
        """The search is over. A storage that was lost is given a last chance to learn what it missed."""
        self._away = False
        self.tell({})
        self._safely(lambda: self._study.set_user_attr(FINISHED, True), None)
        if self._untold:
            self._say(f"{len(self._untold)} evaluations are not in the storage of the trials; the run has them all")

    def _safely(self, operation: Callable[[], Answer], otherwise: Answer) -> Answer:
        """The operation's answer; tried again while the storage fails, and ``otherwise`` where it goes on failing."""
        for wait in (*WAITS[: 0 if self._away else None], None):
            try:
                answer = operation()
            except (OSError, StorageInternalError) as error:
                if wait is not None:
                    time.sleep(wait)
                elif not self._away:
                    self._away = True
                    reason = str(error.__cause__ or error).splitlines()[0]
                    self._say(f"the storage of the trials cannot be reached ({reason}); the search goes on without it")
            else:
                if self._away:
                    self._away = False
                    self._say("the storage of the trials is back")
                return answer
        return otherwise

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states)

    def _numbers(self) -> dict[str, int]:
        """Hash -> number in the storage; of several trials of one architecture, the one that is furthest."""
        states = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)
        trials = sorted(self._trials(*states), key=lambda trial: states.index(trial.state))
        return {trial.user_attrs.get("hash", ""): trial._trial_id for trial in trials}

    def _begin(self, number: int) -> bool:
        """Whether a waiting trial is the caller's now."""
        try:
            return self._storage.set_trial_state_values(number, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            return False

    def _end(self, number: int, values: list[float]) -> None:
        """Finish a trial, unless another one did in the meantime."""
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(number, TrialState.COMPLETE, values)

    def _made(self, architecture: Architecture, state: TrialState, score: float | None = None) -> FrozenTrial:
        params = architecture.values
        return create_trial(
            state=state,
            values=None if score is None else self._values(architecture, score),
            params=params,
            distributions={name: self._distributions[name] for name in params},
            user_attrs={"hash": architecture.hash},
        )

    def _values(self, architecture: Architecture, score: float) -> list[float]:
        row = self._space.matrix([architecture])
        return [score, *(float(latency(row)[0]) for latency in self._latencies.values())]


def open_storage(storage: str) -> BaseStorage:
    """The storage of a URL, or of a journal file. JobError where it cannot be opened."""
    try:
        if "://" in storage:
            return get_storage(storage)
        Path(storage).parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(storage))
    except Exception as error:  # of whatever driver the URL names
        raise JobError(f"--storage: {shown(storage)} cannot be opened ({error}); legal: {LEGAL}") from None


def shown(storage: str) -> str:
    """The storage without its password."""
    head, at, tail = storage.rpartition("@")
    return f"{head.rpartition(':')[0]}:***@{tail}" if at and "://" in head else storage


def study_name(run: RunDirectory) -> str:
    """The job's name, and a digest of what decides its evaluations: the supernet's weights, and how many examples."""
    settings = run.job.search
    digest = hashlib.sha256(run.file(WEIGHTS).read_bytes())
    digest.update(
        json.dumps([settings.images, settings.calibration_images, run.job.data.model_dump(mode="json")]).encode()
    )
    return f"{run.job.name}-{digest.hexdigest()[:10]}"
