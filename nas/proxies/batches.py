"""Batches of a data set for proxies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nas.data import Data, load_data
from nas.job import DataSection
from search_spaces import Architecture


@dataclass(frozen=True)
class DataBatch:
    """Training inputs of a data set, of an architecture's shape; a grey image fills all channels that the network wants.

    Attributes:
        section: the data set; loaded once a process.
        size: inputs.
        seed: of the draw; the same inputs for all architectures.
    """

    section: DataSection
    size: int = 32
    seed: int = 0

    def __call__(self, architecture: Architecture) -> tuple[Tensor, Tensor]:
        """``size`` inputs and their labels."""
        data = _loaded(self.section.model_dump_json())
        order = np.random.default_rng([self.seed, 21]).permutation(len(data.train.labels))
        chosen = torch.from_numpy(order[: self.size])
        inputs = data.batch(data.train.inputs[chosen], architecture.input_shape[-1])
        if inputs.ndim == 4 and inputs.shape[1] == 1:
            inputs = inputs.expand(-1, architecture.input_shape[0], -1, -1)
        labels = data.train.labels[chosen].long()
        if labels.ndim > 1:  # a shorter context: every sequence came in pieces
            labels = labels.reshape(len(inputs), -1)
        return inputs.contiguous(), labels


@lru_cache(maxsize=1)
def _loaded(section: str) -> Data:
    return load_data(DataSection.model_validate_json(section))
