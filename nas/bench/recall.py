"""Claim under test: attention recalls what a state of fixed size cannot hold.

Every network begins with the same short convolution, in which a value meets its key; the second layer is the mixer under
test at the largest sizes that the space offers. They are trained alone by one recipe on recall (see
`nas.data.copy_recall`), every training sequence new, and judged on sequences they never saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from nas.data.copy_recall import TASKS, copy, probe, recall
from nas.data.sequences import SequenceData
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
LENGTHS = (16, 32, 64)
WIDTH, RATIO, BATCH, TEST = 64, 2, 64, 500


def bench_recall(
    lengths: Sequence[int],
    mixers: Sequence[str],
    seeds: int,
    steps: int,
    learning_rate: float,
    task: str,
    workers: int,
    progress: Progress,
) -> dict[str, Any]:
    """Trains one network for each context, mixer and seed, ``workers`` at a time, one thread each.

    Returns:
        rows: context, items (pairs or tokens to keep), mixer, family, parameters, state (values kept between two decoding
        steps), chance, and accuracy on unseen sequences as mean, std (n - 1), min and max over the seeds.

    Raises:
        JobError: an unknown task, or a context that is no multiple of 8; SpaceError: an unknown mixer.
    """
    if task not in TASKS:
        raise JobError(f"--task: got {task!r}; legal: {', '.join(TASKS)}")
    for length in lengths:
        if length < 16 or length % 8:
            raise JobError(f"--context: got {length}; legal: multiples of 8 from 16")
    pairs = [(mixer, length, contender(mixer, length)) for length in lengths for mixer in mixers]
    found: dict[tuple[str, int], list[float]] = {}
    advance = progress.task("train probes", len(pairs) * seeds)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        futures = {
            pool.submit(train_probe, architecture.to_json(), task, steps, learning_rate, seed): (mixer, length)
            for mixer, length, architecture in pairs
            for seed in range(seeds)
        }
        for done, future in enumerate(as_completed(futures), 1):
            mixer, length = futures[future]
            found.setdefault((mixer, length), []).append(future.result())
            advance(done, f"{mixer}, context {length}: {future.result():.0%}")
    rows = [
        {"context": length, **_facts(architecture, mixer, length, task), **_summary(found[mixer, length])}
        for mixer, length, architecture in pairs
    ]
    return {"task": task, "seeds": seeds, "steps": steps, "batch": BATCH, "width": WIDTH, "rows": rows}


def probe_data(task: str, length: int, steps: int, seed: int) -> SequenceData:
    """Fresh sequences for every step of a training, and test sequences that do not depend on the seed."""
    make = {"recall": recall, "copy": copy}[task]
    train = make(steps * BATCH, length, np.random.default_rng([seed, 11]))
    few, test = (make(count, length, np.random.default_rng([0, stream])) for count, stream in ((2, 12), (TEST, 13)))
    return probe(task, train, few, test)


def contender(mixer: str, length: int) -> Architecture:
    """The short convolution, then ``mixer`` at its largest sizes, each with an MLP."""
    names = list(dict.fromkeys((FIRST, mixer)))
    full = make_space({"name": "hybrid-sequence", "context": [length], "vocab": 2 + 2 * (length // 2), "mixers": names})
    space: SearchSpace = full.restrict(
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


def train_probe(genes: dict[str, Any], task: str, steps: int, learning_rate: float, seed: int) -> float:
    """Share of right answers on the test sequences after ``steps`` steps."""
    torch.set_num_threads(1)
    architecture = Architecture.from_json(genes)
    (length,) = architecture.input_shape
    data = probe_data(task, length, steps, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(architecture)
    settings = TrainSection(
        epochs=1, batch_size=BATCH, learning_rate=learning_rate, weight_decay=0.01, warmup_epochs=0.1, label_smoothing=0.0,
        checkpoint_steps=steps,
    )  # fmt: skip
    Trainer(network, PlainStep(network, length, data, 0.0), Recipe(settings, data, seed)).run()
    return evaluate(network, data.open_test("the recall bench"), data, length).value


def _facts(architecture: Architecture, mixer: str, length: int, task: str) -> dict[str, Any]:
    return {
        "items": length // 4 if task == "recall" else length // 8,
        "mixer": mixer,
        "family": family(mixer),
        "parameters": sum(cost(spec).parameters for spec in architecture.specs),
        "state": sum(state_size(spec) for spec in architecture.specs),
        "chance": 1 / (length // 2),
    }


def _summary(found: list[float]) -> dict[str, float]:
    values = np.sort(found)  # workers finish in any order
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {"accuracy": float(values.mean()), "std": spread, "min": float(values.min()), "max": float(values.max())}
