"""Zero-cost proxies of many architectures of a space: a table, a row an architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from predictors.proxies.registry import PROXIES
from predictors.proxies.score import check_names, score_proxies
from search_spaces import Architecture, SearchSpace, build_network
from search_spaces.operators import get_operator

Batch = Callable[[Architecture], tuple[Tensor, Tensor]]  # what an architecture is fed: inputs and labels


@dataclass(frozen=True)
class RandomBatch:
    """Inputs where there is no data: normal images with random classes, or random tokens with the tokens that follow.

    Attributes:
        size: inputs.
        seed: of the draws; the same for all architectures.
    """

    size: int = 32
    seed: int = 0

    def __call__(self, architecture: Architecture) -> tuple[Tensor, Tensor]:
        """Inputs of the architecture's shape, and a label each, or one a token where it answers after every token."""
        generator = torch.Generator().manual_seed(self.seed)
        first, last = architecture.specs[0], architecture.specs[-1]
        *answers, classes = get_operator(last.name).output_shape(last.shape, **dict(last.sizes))
        if get_operator(first.name).domain == "image":
            inputs = torch.randn(self.size, *first.shape, generator=generator)
            return inputs, torch.randint(classes, (self.size, *answers), generator=generator)
        vocab = dict(first.sizes)["vocab"]
        tokens = torch.randint(vocab, (self.size, first.shape[0] + 1), generator=generator)
        if answers:
            return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
        return tokens[:, :-1].contiguous(), torch.randint(classes, (self.size,), generator=generator)


class ProxyScores:
    """Rows of a space -> proxies of their networks, each initialised from the seed.

    Args:
        space: of the rows.
        names: of `PROXIES`; all by default.
        seed: of the initial weights (the same for every architecture) and of the proxies' own draws.
        batch: what a network is fed; random by default. With ``workers`` it must be picklable.
        workers: processes, one thread each; with one, this process does it.

    Raises:
        PredictorError: an unknown proxy.
    """

    def __init__(
        self,
        space: SearchSpace,
        names: Sequence[str] | None = None,
        seed: int = 0,
        batch: Batch | None = None,
        workers: int = 1,
    ) -> None:
        self.space, self.seed, self.workers = space, seed, workers
        self.names = list(PROXIES) if names is None else list(names)
        check_names(self.names)
        self.batch = batch or RandomBatch(seed=seed)

    def __call__(self, rows: NDArray[Any], progress: Callable[[int], object] = lambda done: None) -> pd.DataFrame:
        """A row for each of ``rows`` ``(n, G)``: NAME and NAME_seconds for each proxy, and ``undefined``, which says why a
        value is nan (else empty). ``progress`` is called with how many are done."""
        architectures = [self.space.architecture(row) for row in rows]
        one = partial(proxy_row, names=self.names, seed=self.seed, batch=self.batch)
        found = []
        with ExitStack() as stack:
            if self.workers == 1:
                results: Iterator[dict[str, Any]] = map(one, architectures)
            else:
                pool = stack.enter_context(ProcessPoolExecutor(self.workers, get_context("spawn")))
                results = pool.map(partial(_in_worker, one), [architecture.to_json() for architecture in architectures])
            for result in results:
                found.append(result)
                progress(len(found))
        columns = [column for name in self.names for column in (name, f"{name}_seconds")]
        return pd.DataFrame(found, columns=[*columns, "undefined"])


def proxy_row(architecture: Architecture, names: Sequence[str], seed: int, batch: Batch) -> dict[str, Any]:
    """NAME and NAME_seconds of one architecture's network with weights of ``seed``, and ``undefined``: "NAME: why; ..."."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(architecture)
    inputs, labels = batch(architecture)
    scores = score_proxies(network, inputs, labels, names, seed=seed, architecture=architecture)
    row: dict[str, Any] = {}
    for name, score in scores.items():
        row |= {name: score.value, f"{name}_seconds": score.seconds}
    return {**row, "undefined": "; ".join(f"{name}: {s.reason}" for name, s in scores.items() if s.reason)}


def _in_worker(one: Callable[[Architecture], dict[str, Any]], genes: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(1)
    return one(Architecture.from_json(genes))
