"""Our searchers in Ray Tune: any of them proposes the configurations of your own trainable.

On what Tune's ``param_space`` says, of choices and ranges of integers:

    >>> from ray import tune
    >>> from nas.search.tune import TuneSearch
    >>> def trainable(config):
    ...     return {"loss": (config["width"] - 24) ** 2 + config["depth"]}
    >>> settings = tune.TuneConfig(
    ...     search_alg=TuneSearch("local-search", metric="loss", mode="min"), num_samples=30, reuse_actors=True
    ... )
    >>> space = {"width": tune.choice([8, 16, 24, 32]), "depth": tune.randint(1, 3)}
    >>> results = tune.Tuner(trainable, param_space=space, tune_config=settings).fit()
    >>> len(results), results.get_best_result("loss", "min").config
    (8, {'width': 24, 'depth': 1})

On a search space of ours: ``TuneSearch("nsga2", space, metric=["accuracy", "latency_ms"], mode=["max", "min"])``. A
configuration is then the values of the active genes by name; ``Architecture.from_json({"genes": config}, space)`` is the
architecture.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from nas.errors import JobError
from nas.search.proposal import HORIZON, MOST_VALUES, Proposer, check, plain_space
from search_spaces import SearchSpace

try:
    from ray.tune.search import Searcher
    from ray.tune.search.sample import Categorical, Integer, Uniform
    from ray.tune.search.variant_generator import parse_spec_vars
    from ray.tune.utils.util import unflatten_dict
except ImportError:
    raise JobError('nas.search.tune: Ray Tune is not installed; pip install "hybrid-nas[ray]" adds it') from None

LEGAL = f"tune.choice, and tune.randint of at most {MOST_VALUES} values"


class _Trial(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    row: list[int]
    state: Literal["running", "done", "failed"] = "running"
    values: list[FiniteFloat] = []


class _State(BaseModel):
    """All that a search knows; trials that ended stand in the order in which they did."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["hybrid-nas/tune-search"] = "hybrid-nas/tune-search"
    version: Literal[1] = 1
    metric: list[str] = []
    mode: list[Literal["min", "max"]] = []
    genes: dict[str, int] = {}  # how many values each has
    asked: int = Field(default=0, ge=0)
    trials: list[_Trial] = []


class TuneSearch(Searcher):
    """A search algorithm of Ray Tune that asks one of our searchers, given all trials that ended.

    Nothing is proposed twice. A trial that fails, or reports a metric that is not finite, tells the searcher nothing; one
    that a scheduler stops early counts with its last result. When the space has no more, the search is over.

    Args:
        searcher: its name; see `nas.search.searcher_names`.
        space: what configurations are drawn from; if none, the choices and ranges of Tune's ``param_space``.
        metric: what is optimised, one or several; if none, the metric of ``TuneConfig``.
        mode: "min" or "max", one for each metric.
        population: of those that breed.
        seed: of the searcher, with the number of the trial.

    Raises:
        JobError: an unknown searcher, a population below 1, or modes that do not fit the metrics. Later: a ``param_space``
            with something else than choices and ranges of integers, or no metric.
    """

    CKPT_FILE_TMPL = "searcher-state-{}.json"

    def __init__(
        self,
        searcher: str = "predictor-nsga2",
        space: SearchSpace | None = None,
        metric: str | Sequence[str] | None = None,
        mode: str | Sequence[str] | None = None,
        population: int = 20,
        seed: int = 0,
    ) -> None:
        check(searcher, population)
        self._searcher, self._population, self._seed = searcher, population, seed
        self._given = space is not None
        self._evaluations = HORIZON
        self._state = _State()
        self._trials: dict[str, _Trial] = {}
        self._proposer: Proposer | None = None
        self._values: dict[str, Sequence[Any]] = {}  # of the genes of a ``param_space``, which has positions for values
        super().__init__()
        if metric is not None or mode is not None:
            self._set_metric(metric, mode)
        if space is not None:
            self._set_space(space)

    def _set_metric(self, metric: str | Sequence[str] | None, mode: str | Sequence[str] | None) -> None:
        metrics = [metric] if isinstance(metric, str) else list(metric or ())
        modes: list[Any] = [mode] if isinstance(mode, str) else list(mode or ())
        if len(metrics) != len(modes) or not set(modes) <= {"min", "max"}:
            raise JobError(f"mode: got {mode!r} for metric {metric!r}; legal: min or max, one for each metric")
        if self._state.metric and (self._state.metric, self._state.mode) != (metrics, modes):
            raise JobError(f"metric: got {metrics} ({modes}); legal here: {self._state.metric} ({self._state.mode})")
        self._state.metric, self._state.mode = metrics, modes
        self._metric, self._mode = cast(Any, metric), cast(Any, mode)  # what Tune looks at

    def _set_space(self, space: SearchSpace) -> None:
        genes = {choice.name: len(choice.values) for choice in space.choices}
        if self._state.genes not in ({}, genes):
            raise JobError(
                "TuneSearch: the space has other genes than the trials that this search knows; legal: a new one"
            )
        self._state.genes = genes
        self._proposer = Proposer(self._searcher, space, self._population, self._seed, self._evaluations)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """See `ray.tune.search.Searcher`; False where the search has a space, and ``config`` another one."""
        if metric is not None and self._metric is None:
            self._set_metric(metric, mode)
        if (samples := spec.get("num_samples") or 0) > 0:
            self._evaluations = samples
        values = _values(config)
        if self._given:
            assert self._proposer is not None
            self._set_space(self._proposer.space)
            return not values
        if not values:
            raise JobError(f"param_space: has nothing to choose; legal: {LEGAL}")
        self._values = values
        self._set_space(plain_space("param_space", {name: tuple(range(len(v))) for name, v in values.items()}))
        return True

    def suggest(self, trial_id: str) -> Any:
        """See `ray.tune.search.Searcher`: a configuration, or ``FINISHED``."""
        if self._proposer is None or not self._state.metric:
            missing = "metric" if self._proposer else "space"
            raise JobError(f"{missing}: missing; legal: as an argument of TuneSearch, or in what tune.Tuner gets")
        space, trials = self._proposer.space, self._trials.values()
        done = [trial for trial in trials if trial.state == "done"]
        signs = np.array([1.0 if mode == "min" else -1.0 for mode in self._state.mode])
        F = np.array([trial.values for trial in done]).reshape(len(done), len(signs)) * signs
        X, taken = (
            np.array([trial.row for trial in trials if (trial.state == "done") is told], np.int16).reshape(
                -1, len(space.choices)
            )
            for told in (True, False)
        )
        row = self._proposer.row(self._state.asked, X, F, taken)
        if row is None:
            return Searcher.FINISHED
        self._state.asked += 1
        self._trials[trial_id] = _Trial(id=trial_id, row=row.tolist())
        config = space.architecture(row).values
        return config if self._given else unflatten_dict({name: self._values[name][i] for name, i in config.items()})

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """See `ray.tune.search.Searcher`."""
        trial = self._trials.get(trial_id)
        if trial is None or trial.state != "running":
            return
        try:
            values = [float((result or {})[name]) for name in self._state.metric]
        except (KeyError, TypeError, ValueError):
            values = [math.nan]
        good = not error and all(map(math.isfinite, values))
        del self._trials[trial_id]  # the order is that of their ends
        update = {"state": "done", "values": values} if good else {"state": "failed"}
        self._trials[trial_id] = trial.model_copy(update=update)

    def save(self, checkpoint_path: str) -> None:
        """Write all that this search knows, as JSON."""
        self._state.trials = list(self._trials.values())
        path = Path(checkpoint_path)
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(self._state.model_dump_json())
        os.replace(partial, path)

    def restore(self, checkpoint_path: str) -> None:
        """Go on from what `save` wrote. JobError where it is of another space or of other metrics, or no such file."""
        try:
            state = _State.model_validate_json(Path(checkpoint_path).read_bytes())
        except (OSError, ValidationError) as error:
            raise JobError(f"{checkpoint_path}: cannot be read ({error}); legal: what TuneSearch.save wrote") from None
        for key in ("genes", "metric", "mode"):
            mine, found = getattr(self._state, key), getattr(state, key)
            if mine and found and mine != found:
                raise JobError(f"{checkpoint_path}: {key}: got {found}; legal here: {mine}")
            setattr(state, key, mine or found)
        counts = list(state.genes.values())
        for trial in state.trials:
            fits = len(trial.row) == len(counts) and all(0 <= i < n for i, n in zip(trial.row, counts, strict=True))
            if not fits or len(trial.values) != (len(state.metric) if trial.state == "done" else 0):
                raise JobError(f"{checkpoint_path}: trial {trial.id} does not fit the genes and metrics of the file")
        self._state, self._trials = state, {trial.id: trial for trial in state.trials}


def _values(config: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """The values of every parameter of a ``param_space`` that is to be chosen, by its path; JobError for other kinds."""
    _, domains, grids = parse_spec_vars(dict(config))
    found: dict[str, Sequence[Any]] = {}
    for path, domain in [*domains, *grids]:
        values: Sequence[Any] = ()
        if isinstance(domain.get_sampler(), Uniform) and all(isinstance(part, str) for part in path):
            if isinstance(domain, Categorical):
                values = domain.categories
            elif isinstance(domain, Integer):
                values = range(int(domain.lower), int(domain.upper))
        name = "/".join(map(str, path))
        if not 0 < len(values) <= MOST_VALUES:
            raise JobError(f"param_space: {name}: got {domain.domain_str or domain!r}; legal: {LEGAL}")
        found[name] = values
    return found
