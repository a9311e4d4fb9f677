"""Claim under test: attention recalls what a state of fixed size cannot hold.

Every network begins with the same short convolution, in which a value meets its key; the second layer is the mixer under
test at the largest sizes that the space offers. They are trained alone by one recipe on recall with few and many pairs
(see `nas.data.copy_recall`), every training sequence new, and judged on unseen sequences by the number of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from nas.data.copy_recall import counts, graded, probe, recall, vocabulary
from nas.errors import JobError
from nas.job import TrainSection
from nas.progress import Progress
from nas.training import PlainStep, Recipe, Trainer
from nas.training.evaluate import evaluate
from search_spaces import Architecture, SearchSpace, build_network, cost, make_space
from search_spaces.decode import state_size
from search_spaces.operators import family

FIRST = "sequence_short_conv"
MIXERS = ("sequence_gqa", "sequence_ssd", "sequence_gated_delta", "sequence_linear_attention", FIRST)
WIDTH, RATIO, TOKENS, TEST = 64, 2, 4096, 300  # TOKENS a step, TEST sequences for each number of pairs


def bench_recall(
    context: int, mixers: Sequence[str], seeds: int, steps: int, learning_rate: float, workers: int, progress: Progress
) -> dict[str, Any]:
    """Trains one network for each mixer and seed, ``workers`` at a time, one thread each.

    Returns:
        rows: mixer, family, parameters, state (values kept between two decoding steps), pairs, and accuracy on unseen
        sequences of so many pairs as mean, std (n - 1), min and max over the seeds. ``chance`` is of a blind guess.

    Raises:
        JobError: a context that is no multiple of 8 from 16 on; SpaceError: an unknown mixer.
    """
    if context < 16 or context % 8:
        raise JobError(f"--context: got {context}; legal: multiples of 8 from 16")
    architectures = {mixer: contender(mixer, context) for mixer in mixers}
    found: dict[str, list[list[float]]] = {mixer: [] for mixer in architectures}
    advance = progress.task("train probes", len(architectures) * seeds)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        futures = {
            pool.submit(train_probe, architecture.to_json(), steps, learning_rate, seed): mixer
            for seed in range(seeds)
            for mixer, architecture in architectures.items()
        }
        for done, future in enumerate(as_completed(futures), 1):
            found[futures[future]].append(future.result())
            advance(done, f"{futures[future]}: {future.result()[-1]:.0%} of the most pairs")
    rows = []
    for mixer, architecture in architectures.items():
        shares = np.sort(found[mixer], axis=0)  # workers finish in any order
        rows += [{**_facts(mixer, architecture), **row} for row in _summary(shares, counts(context))]
    return {
        "context": context,
        "seeds": seeds,
        "steps": steps,
        "learning_rate": learning_rate,
        "width": WIDTH,
        "chance": 1 / (context // 2),
        "rows": rows,
    }


def contender(mixer: str, context: int) -> Architecture:
    """The short convolution, then ``mixer`` at its largest sizes, each with an MLP."""
    names = list(dict.fromkeys((FIRST, mixer)))
    definition = {"name": "hybrid-sequence", "context": [context], "vocab": vocabulary(context), "mixers": names}
    space: SearchSpace = make_space(definition).restrict(
        {
            "stage1.width": [WIDTH],
            "stage1.depth": [2],
            "stage1.layer1.mixer": [FIRST],
            "stage1.layer2.mixer": [mixer],
            "*.channel_mixer": ["sequence_mlp"],
            "*.sequence_mlp.ratio": [RATIO],
        }
    )
    return space.architecture(space.largest(space.sample(1, np.random.default_rng(0)))[0])


def train_probe(genes: dict[str, Any], steps: int, learning_rate: float, seed: int) -> list[float]:
    """Share of right answers on test sequences of 1, 2, 4, ... pairs, which do not depend on the seed."""
    torch.set_num_threads(1)
    architecture = Architecture.from_json(genes)
    (context,) = architecture.input_shape
    batch = max(TOKENS // context, 2)
    train = graded(steps * batch, context, np.random.default_rng([seed, 11]))
    tests = [recall(TEST, context, np.random.default_rng([pairs, 12]), pairs) for pairs in counts(context)]
    data = probe("recall", train, tests[0], tests[-1])
    torch.manual_seed(seed)
    network = build_network(architecture)
    settings = TrainSection(
        epochs=1, batch_size=batch, learning_rate=learning_rate, weight_decay=0.01, warmup_epochs=0.1,
        label_smoothing=0.0, checkpoint_steps=steps,
    )  # fmt: skip
    Trainer(network, PlainStep(network, context, data, 0.0), Recipe(settings, data, seed)).run()
    return [evaluate(network, test, data, context).value for test in tests]


def _facts(mixer: str, architecture: Architecture) -> dict[str, Any]:
    return {
        "mixer": mixer,
        "family": family(mixer),
        "parameters": sum(cost(spec).parameters for spec in architecture.specs),
        "state": sum(state_size(spec) for spec in architecture.specs),
    }


def _summary(shares: np.ndarray, pairs: Sequence[int]) -> list[dict[str, Any]]:
    """One row for each number of pairs; ``shares`` ``(seeds, numbers of pairs)``."""
    rows = []
    for count, values in zip(pairs, shares.T, strict=True):
        spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        found = {
            "accuracy": float(values.mean()),
            "std": spread,
            "min": float(values.min()),
            "max": float(values.max()),
        }
        rows.append({"pairs": count, **found})
    return rows
