"""What a report is made of. The pipeline fills these in; everything else in this package only reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from nas.importance.study import Importance
from nas.job import Job
from nas.metric import ACCURACY, Metric

# and the metric's name, `test_` with it, and the input's size (`resolution`, or `context`)
FRONT = (
    "hash", "latency_ms", "latency_low_ms", "latency_high_ms", "test_low", "test_high",
    "measured_ms", "measured_low_ms", "measured_high_ms", "macs", "parameters", "knee", "genes",
)  # fmt: skip
EVALUATIONS = ("search", "seed", "order", "hash", "latency_ms")  # and the metric's name
INPUTS = {"resolution": "px", "context": "tokens"}  # columns of the input's size, and their units
HYPERVOLUMES = ("search", "seed", "evaluations", "hypervolume")
VALIDATION = ("predicted_ms", "low_ms", "high_ms", "measured_ms")
DESIGNS = ("design", "hash", "latency_ms")
TRAINING = ("step", "epoch", "loss")
GENES = ("gene", "value", "front", "sampled")  # and evaluated, where the run holds it
RANKS = ("inherited_accuracy", "standalone_accuracy")


def _check(frame: pd.DataFrame, name: str, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(f"{name}: missing columns {', '.join(missing)}; legal is a table with {', '.join(columns)}")


@dataclass(frozen=True, eq=False)
class DeviceReport:
    """What was found for one device. Latencies in milliseconds a call, qualities in the unit of the metric (accuracies as
    fractions), intervals at 90 % for predicted latency and 95 % for quality.

    Attributes:
        name: of the device in the job.
        runtime: that ran the networks.
        header: of the latency table: conditions, versions, and its ``validation`` on networks it was not fitted to.
        max_latency_ms: the constraint, if there was one.
        front: one row a front member, columns `FRONT`. The metric is inherited from the supernet, on the search
            split; the ``test_`` and ``measured_`` columns are NaN for members that were not tested. ``genes`` is JSON
            text: what `Architecture.to_json` gives, or its genes alone.
        evaluations: every architecture evaluated, by the search and each control, columns `EVALUATIONS`, and
            latency_low_ms and latency_high_ms where they are known.
        hypervolumes: columns `HYPERVOLUMES`, the volume after so many evaluations.
        validation: the held-out whole networks of the latency table, columns `VALIDATION`.
        metric: what the data set is judged by.
        mode: of a call: ``forward``, or ``decode``.
        designs: known designs nearest in the space, columns `DESIGNS` and the metric; None: not evaluated.
        genes: how many networks of the front, of a uniform sample and of all evaluations have each gene value, columns
            `GENES` (see `nas.report.genes.gene_counts`); None: not counted.
        latency_range_ms: of the fastest and the slowest network that the search could have found; None: not known.
        goal_latency_ms: the soft goal, if there was one; evaluations and front then also have the column charged_ and the
            metric's name, by which the front is judged.

    Raises:
        ValueError: a table lacks a column, or the front is empty.
    """

    name: str
    runtime: str
    header: dict
    max_latency_ms: float | None
    front: pd.DataFrame
    evaluations: pd.DataFrame
    hypervolumes: pd.DataFrame
    validation: pd.DataFrame
    metric: Metric = ACCURACY
    mode: str = "forward"
    designs: pd.DataFrame | None = None
    genes: pd.DataFrame | None = None
    latency_range_ms: tuple[float, float] | None = None
    goal_latency_ms: float | None = None

    def __post_init__(self) -> None:
        _check(self.front, "front", (*FRONT, self.quality, self.test_quality))
        if not set(INPUTS) & set(self.front.columns):
            raise ValueError(f"front: missing column {' or '.join(INPUTS)}")
        _check(self.evaluations, "evaluations", (*EVALUATIONS, self.quality))
        _check(self.hypervolumes, "hypervolumes", HYPERVOLUMES)
        _check(self.validation, "validation", VALIDATION)
        if self.designs is not None:
            _check(self.designs, "designs", (*DESIGNS, self.quality))
        if self.genes is not None:
            _check(self.genes, "genes", GENES)
        if self.front.empty:
            raise ValueError(f"front: got no member for device {self.name!r}; a report needs at least one")

    @property
    def quality(self) -> str:
        """The column of the metric on the search split."""
        return self.metric.name

    @property
    def judged(self) -> str:
        """The column that the front is judged by: the metric, less what is charged for goals."""
        charged = f"charged_{self.metric.name}"
        return charged if charged in self.evaluations.columns else self.quality

    @property
    def test_quality(self) -> str:
        """The column of the metric on the test split."""
        return f"test_{self.metric.name}"

    @property
    def members(self) -> pd.DataFrame:
        """The front from the fastest member to the slowest, with a fresh index."""
        return self.front.sort_values(["latency_ms", self.quality, "hash"]).reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class Report:
    """A finished run.

    Attributes:
        job: what was asked for.
        created: when, as text.
        facts: shown in a strip under the title, in order. The numbers ``train images``, ``search images`` and ``test
            images`` (or sequences) also serve the section on trust, and ``search images`` the error bars of inherited
            accuracy.
        training: the training log, columns `TRAINING`, ``learning_rate``, and loss and metric of ``largest``,
            ``smallest`` and ``random`` subnets where they were trained.
        devices: one a device, at least one.
        ranks: inherited against stand-alone accuracy of the same architectures, columns `RANKS`; None: not measured.
        importance: what carries the metric and the latencies; or, as text, why that is not told.

    Raises:
        ValueError: a table lacks a column, or there is no device.
    """

    job: Job
    created: str
    facts: dict[str, str | float]
    training: pd.DataFrame
    devices: tuple[DeviceReport, ...]
    ranks: pd.DataFrame | None = None
    importance: Importance | str = "it was not studied"

    def __post_init__(self) -> None:
        _check(self.training, "training", TRAINING)
        if self.ranks is not None:
            _check(self.ranks, "ranks", RANKS)
        if not self.devices:
            raise ValueError("devices: got none; a report needs at least one")

    @property
    def metric(self) -> Metric:
        """What the data set is judged by."""
        return self.devices[0].metric

    @property
    def search_images(self) -> int | None:
        """Images behind one inherited accuracy, None where the facts do not tell or it is no share of images."""
        if self.metric != ACCURACY:
            return None
        total = self.facts.get("search images")
        if not isinstance(total, int | float) or total < 1:
            return None
        return int(min(total, self.job.search.images or total))
