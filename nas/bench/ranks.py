"""Claim under test: inherited accuracy ranks architectures as training each of them alone does."""

from __future__ import annotations

import itertools
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau

from nas.data import Data, load_data
from nas.job import Job
from nas.job_file import load_job
from nas.latency.plan import choose_networks
from nas.progress import Progress, Silent
from nas.run import RunDirectory
from nas.session import Session
from nas.training import PlainStep, Recipe, Trainer
from nas.training.evaluate import calibrate, evaluate, first
from search_spaces import Architecture, SearchSpace, build_network
from search_spaces.operators import family

ROWS = "report/ranks-rows.csv"


def dominant_family(architecture: Architecture) -> str:
    """The operator family of most of the architecture's mixers (identity aside); the first in the network on a tie."""
    found = [family(str(value)) for name, value in architecture.values.items() if name.endswith(".mixer")]
    named = [f for f in found if f != "other"] or ["other"]
    return max(dict.fromkeys(named), key=named.count)


def choose_architectures(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    """``count`` architectures: each family's mixers alone in turn, then the full space, spread over MACs."""
    from nas.search.controls import control_spaces

    controls = control_spaces(space)
    spaces = [controls[name] for name in ("conv", "attention", "ssm") if name in controls] + [space]
    rng = np.random.default_rng([seed, 8])
    groups = [choose_networks(part, -(-count // len(spaces)), rng) for part in spaces]
    mixed = [a for group in zip(*groups, strict=True) for a in group]
    unique = list({a.hash: a for a in mixed}.values())
    return [space.architecture(np.array(a.genes)) for a in unique[:count]]


def bench_ranks(folder: Path, count: int, seeds: int, workers: int, progress: Progress) -> dict[str, Any]:
    """Trains ``count`` architectures alone with the run's own recipe, ``seeds`` times each, and correlates.

    Finished trainings are kept in the run, so the study resumes. All accuracies are on the run's search split.

    Returns:
        Kendall's tau over all pairs, across families (pairs of different dominant family), within families, each with a
        95 % bootstrap interval; and, with two seeds or more, the tau between seeds, which no predictor can be asked to pass.
    """
    with RunDirectory.open(folder) as run:
        torch.set_num_threads(1 if workers > 1 else run.job.threads)
        session = Session(run, Silent())
        architectures = choose_architectures(session.space, count, run.job.seed)
        with session.evaluator() as inherit:
            scores = inherit(session.space.matrix(architectures))
        inherited = dict(zip((a.hash for a in architectures), scores.tolist(), strict=True))
        done = {(row["hash"], int(row["seed"])) for row in run.read_rows(ROWS)}
        tasks = [(a, s) for s in range(seeds) for a in architectures if (a.hash, s) not in done]
        total = count * seeds
        advance = progress.task("train alone", total)
        advance(total - len(tasks))
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            job = str(run.file("job.yaml"))
            futures = {pool.submit(_train_alone, job, a.to_json(), s, workers): (a, s) for a, s in tasks}
            for number, future in enumerate(as_completed(futures), total - len(tasks) + 1):
                architecture, seed = futures[future]
                row = {"hash": architecture.hash, "family": dominant_family(architecture), "seed": seed}
                run.append_rows(ROWS, [{**row, "standalone_accuracy": repr(future.result())}])
                advance(number)
        rows = pd.DataFrame(run.read_rows(ROWS)).astype({"seed": int, "standalone_accuracy": float})
        rows = rows[rows["hash"].isin(list(inherited)) & (rows["seed"] < seeds)]
        rows["inherited_accuracy"] = rows["hash"].map(inherited)
        means = rows.groupby(["hash", "family"], as_index=False)[["inherited_accuracy", "standalone_accuracy"]].mean()
        run.write_csv("ranks.csv", means)
        return summarise(means, rows)


def _train_alone(job_path: str, genes: dict[str, Any], seed: int, workers: int) -> float:
    job = load_job(job_path)
    torch.set_num_threads(1 if workers > 1 else job.threads)
    return train_alone(job, load_data(job.data), Architecture.from_json(genes), seed)


def train_alone(job: Job, data: Data, architecture: Architecture, seed: int) -> float:
    """Quality on the search split of one architecture trained from scratch by the job's recipe (bits per byte are negated)."""
    torch.manual_seed(1000 + seed)
    network = build_network(architecture)
    extent = architecture.input_shape[-1]
    recipe = Recipe(job.train, data, 1000 + seed)
    Trainer(network, PlainStep(network, extent, data, job.train.label_smoothing), recipe).run()
    calibrate(network, data, extent, job.search.calibration_images)
    return data.metric.oriented(evaluate(network, first(data.search, job.search.images), data, extent).value)


def summarise(means: pd.DataFrame, rows: pd.DataFrame, draws: int = 2000) -> dict[str, Any]:
    """Kendall's tau with bootstrap intervals (over architectures); columns as `bench_ranks` writes them."""
    different = means["family"].to_numpy()[:, None] != means["family"].to_numpy()[None, :]
    x, y = means["inherited_accuracy"].to_numpy(), means["standalone_accuracy"].to_numpy()
    result: dict[str, Any] = {"architectures": len(means), "seeds": int(rows["seed"].nunique())}
    pairs = {"overall": np.ones_like(different), "across_families": different, "within_families": ~different}
    rng = np.random.default_rng(0)
    samples = rng.integers(len(means), size=(draws, len(means)))
    for name, mask in pairs.items():
        values = [pair_tau(x[s], y[s], mask[np.ix_(s, s)]) for s in samples]
        low, high = np.nanquantile(values, [0.025, 0.975])
        result[name] = {"kendall": pair_tau(x, y, mask), "low": float(low), "high": float(high)}
    if rows["seed"].nunique() > 1:
        wide = rows.pivot(index="hash", columns="seed", values="standalone_accuracy").dropna()
        taus = [kendalltau(wide[a], wide[b])[0] for a, b in itertools.combinations(wide.columns, 2)]
        result["between_seeds_kendall"] = float(np.mean(taus))
    return result


def pair_tau(x: np.ndarray, y: np.ndarray, mask: np.ndarray) -> float:
    """Kendall's tau-b over the pairs that ``mask`` ``(n, n)`` allows; nan where there is no untied pair."""
    upper = np.triu(mask, 1)
    a, b = np.sign(x[:, None] - x[None, :])[upper], np.sign(y[:, None] - y[None, :])[upper]
    untied = np.sqrt(float((a != 0).sum()) * float((b != 0).sum()))
    return float((a * b).sum() / untied) if untied else float("nan")
