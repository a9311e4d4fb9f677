"""A data set with an enforced three-way split.

Weights see `train`, search sees `search`, and the test split can be opened once, by the report. The test split does
not depend on `data.seed`, so that no sequence of jobs ever trains on an example another job is tested on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
import torch

from nas.metric import Metric

__all__ = ["Data", "Split", "TestSplitSealed"]


class TestSplitSealed(RuntimeError):
    """The test split was touched outside the one `open_test` call that a report makes."""

    __test__ = False  # its name makes pytest take it for a test


class Split(NamedTuple):
    """inputs: uint8 (N, C, H, W) or integers (N, L); labels: integers (N,), or (N, L) with one a token."""

    inputs: torch.Tensor
    labels: torch.Tensor

    @property
    def images(self) -> torch.Tensor:
        """The inputs of a data set of images."""
        return self.inputs


class _Sealed:
    """Holds the test split until `Data.open_test` takes it; there is no other way in."""

    __slots__ = ("__reason", "__split")

    def __init__(self, split: Split) -> None:
        self.__split: Split | None = split
        self.__reason = ""

    def take(self, reason: str) -> Split:
        if not reason.strip():
            raise TestSplitSealed("open_test needs a reason: say which report opens the test split")
        if self.__split is None:
            raise TestSplitSealed(f"the test split was opened before, for: {self.__reason}; it opens once")
        split, self.__split, self.__reason = self.__split, None, reason
        return split

    def __reduce__(self) -> NoReturn:
        raise TestSplitSealed("a sealed test split is neither copied nor pickled: a copy could be opened again")


@dataclass(frozen=True)
class Data(ABC):
    """A data set in memory: what training, search, report and export need to know of it.

    `test` raises `TestSplitSealed`; `open_test` gives the split, once. `examples` is what its inputs are called.
    """

    examples: ClassVar[str] = "images"
    name: str
    class_names: tuple[str, ...]
    train: Split
    search: Split
    test_split: InitVar[Split]
    test_size: int = field(init=False)
    _sealed: _Sealed = field(init=False, repr=False, compare=False)

    def __post_init__(self, test_split: Split) -> None:
        object.__setattr__(self, "test_size", len(test_split.labels))
        object.__setattr__(self, "_sealed", _Sealed(test_split))

    @property
    def test(self) -> NoReturn:
        raise TestSplitSealed("the test split is sealed: only the report opens it, once, with open_test(reason)")

    def open_test(self, reason: str) -> Split:
        """The test split, the first time; TestSplitSealed (naming the first reason) every other time."""
        return self._sealed.take(reason)

    @property
    @abstractmethod
    def metric(self) -> Metric:
        """What networks are judged by."""

    @property
    @abstractmethod
    def space_keys(self) -> dict[str, Any]:
        """What the data decides in the definition of a search space."""

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """How an exported network is to be fed, JSON-able."""

    @abstractmethod
    def batch(self, inputs: torch.Tensor, extent: int) -> torch.Tensor:
        """Stored inputs -> what a network of this extent (side in pixels, or tokens) takes."""

    @abstractmethod
    def augment(self, inputs: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Stored training inputs, changed at random where that keeps their labels."""

    @abstractmethod
    def check_extents(self, extents: Sequence[int]) -> None:
        """Raises JobError where `batch` cannot make inputs of one of these extents."""

    def evaluation_batch(self, most: int) -> int:
        """Inputs an evaluation batch, at most ``most``."""
        return most
