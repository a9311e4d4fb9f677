"""What a data set counts as quality: its name, its direction and how it reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Numbers = TypeVar("Numbers", float, np.ndarray)


@dataclass(frozen=True)
class Metric:
    """A quality of networks.

    Searchers know one direction only, so they see `oriented` values, of which more is better; files and reports hold
    the metric's own.

    Attributes:
        name: of its column in tables, e.g. ``"bits_per_byte"``.
        title: as it reads in a sentence.
        higher: whether more is better.
        scale: factor from stored to written values (100 for per cent).
        unit: after a written value.
        digits: after the decimal point.
        ticks: plotly's format of stored values on an axis.
    """

    name: str
    title: str
    higher: bool
    scale: float
    unit: str
    digits: int
    ticks: str

    def oriented(self, values: Numbers) -> Numbers:
        """Own values -> values of which more is better, and back: it is its own inverse."""
        return values if self.higher else -values

    def text(self, value: float) -> str:
        """'97.3 %' or '2.134'."""
        return f"{self.scale * value:.{self.digits}f}{self.unit}"


ACCURACY = Metric("accuracy", "accuracy", True, 100.0, " %", 1, ".1%")
BITS_PER_BYTE = Metric("bits_per_byte", "bits per byte", False, 1.0, "", 3, ".3f")
METRICS = {metric.name: metric for metric in (ACCURACY, BITS_PER_BYTE)}


@dataclass(frozen=True)
class Score:
    """A metric measured on a split.

    Attributes:
        value: in the metric's own unit: a mean over ``examples``.
        deviation: standard deviation over the examples.
        examples: images, windows or answers.
    """

    value: float
    deviation: float
    examples: int

    @property
    def standard_error(self) -> float:
        """Of the mean; examples are taken as independent."""
        return self.deviation / math.sqrt(self.examples)
