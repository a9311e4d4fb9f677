"""Resolution: values of an objective that differ by less count as equal for ranking, so that a search does not chase noise.

Source: Laumanns, Thiele, Deb and Zitzler, "Combining convergence and diversity in evolutionary multiobjective optimization",
2002: epsilon-dominance by boxes. Objectives are ranked by the middle of their box. Boxes make "equal" transitive, which
"closer than epsilon" is not; so two values that are close but lie in neighbouring boxes are still told apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError

Floats = NDArray[np.float64]


def check_resolution(resolution: Mapping[str, float], names: Collection[str]) -> None:
    """JobError for one that is no positive number, or of no objective."""
    for name, width in resolution.items():
        if name not in names:
            raise JobError(f"resolution: got {name!r}; legal: the objectives {', '.join(names)}")
        if not 0 < width < np.inf:
            raise JobError(f"resolution of {name}: must be a positive number, got {width}")


def in_boxes(values: Floats, width: float) -> Floats:
    """(n,) the middles of the boxes of that width, in the unit of the values, that hold them; 0 is one."""
    return np.asarray(width * np.round(values / width))


def in_shares(values: Floats, width: float) -> Floats:
    """(n,) positive values as the middles of boxes whose ends differ by the share ``width``; 1 is one.

    The box of a value depends on nothing but the value. JobError where one is not positive.
    """
    if len(values) and not (values > 0).all():
        raise JobError(f"resolution: is a share of values above 0; got the value {values.min():g}")
    step = np.log1p(width)
    return np.asarray(np.exp(step * np.round(np.log(values) / step)))
