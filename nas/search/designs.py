"""Known designs inside the space that is searched: marks on every front, and a place where searches may begin."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nas.metric import Metric
from nas.search.problem import Rows, Scores
from predictors.latency import LatencyModel
from search_spaces import SearchSpace
from search_spaces.spaces.projection import project
from search_spaces.spaces.reference import design_names, get_design


def designs_in(space: SearchSpace) -> dict[str, np.ndarray]:
    """Name of each reference design whose mixers ``space`` offers -> its nearest point there, as a gene row ``(G,)``.

    Designs that fall on one point are named together: ``"deit-small, deit-tiny"``.
    """
    found: dict[bytes, tuple[list[str], np.ndarray]] = {}
    for name in design_names():
        nearest = project(get_design(name).architecture, space)
        if nearest is not None:
            row = space.matrix([nearest])[0]
            found.setdefault(row.tobytes(), ([], row))[0].append(name)
    return {", ".join(names): row for names, row in found.values()}


def start_rows(space: SearchSpace) -> Rows:
    """The designs' points in ``space``, ``(k, G)``."""
    return _stacked(space, designs_in(space))


def _stacked(space: SearchSpace, designs: dict[str, np.ndarray]) -> Rows:
    return np.stack(list(designs.values())) if designs else np.zeros((0, len(space.choices)), np.int16)


def designs_frame(space: SearchSpace, evaluate: Scores, predictor: LatencyModel, metric: Metric) -> pd.DataFrame:
    """Columns design, hash, the metric's name (inherited, search split) and latency_ms: one row a point."""
    designs = designs_in(space)
    rows = _stacked(space, designs)
    quality = evaluate(rows) if len(rows) else np.zeros(0)
    latency = predictor.ms(rows) if len(rows) else np.zeros(0)
    return pd.DataFrame(
        {
            "design": list(designs),
            "hash": [space.architecture(row).hash for row in rows],
            metric.name: metric.oriented(np.asarray(quality)),
            "latency_ms": latency,
        }
    )
