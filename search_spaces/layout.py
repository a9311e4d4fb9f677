"""Parameter layouts: the only place where weights are sliced.

A layout names the axes of a parameter, e.g. ``"(heads head_dim) dim"`` for a matrix whose rows group heads and their
channels. To slice, grouped axes are unfolded, every named axis is cut to its smaller length, and the groups are folded
again, so heads are cut by head and channels within a head, and the two never mix. Plain names keep the first entries,
``axis@centre`` the middle ones (convolution kernels) and ``axis@last`` the last ones (causal kernels).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from search_spaces.errors import SpaceError

_TOKEN = re.compile(r"\(|\)|[A-Za-z_]\w*(?:@\w+)?|\d+")
_ANCHORS = ("first", "centre", "last")


@dataclass(frozen=True, slots=True)
class Axis:
    """One unfolded axis: a name (or a fixed length) and the end from which entries are kept."""

    name: str
    anchor: str = "first"

    def length(self, axes: Mapping[str, int]) -> int:
        """Length of this axis when the named axes have the lengths ``axes``."""
        if self.name.isdigit():
            return int(self.name)
        if self.name not in axes:
            raise SpaceError(f"layout: axis {self.name!r} has no length; known: {', '.join(sorted(axes))}")
        return axes[self.name]


@cache
def parse_layout(layout: str) -> tuple[tuple[Axis, ...], ...]:
    """The axes of a parameter, each a group of one or more unfolded axes.

    Raises:
        SpaceError: unbalanced parentheses, an unknown anchor or a character that is no part of a layout.
    """
    if _TOKEN.sub("", layout).strip():
        raise SpaceError(f"layout {layout!r}: legal are axis names, name@centre, name@last, numbers and (groups)")
    groups: list[tuple[Axis, ...]] = []
    group: list[Axis] | None = None
    for token in _TOKEN.findall(layout):
        if token == "(" and group is None:
            group = []
        elif token == ")" and group:
            groups.append(tuple(group))
            group = None
        elif token in "()":
            raise SpaceError(f"layout {layout!r}: parentheses must be balanced, not nested and not empty")
        else:
            name, _, anchor = token.partition("@")
            axis = Axis(name, anchor or "first")
            if axis.anchor not in _ANCHORS:
                raise SpaceError(f"layout {layout!r}: anchor {anchor!r}; legal: {', '.join(_ANCHORS)}")
            if group is None:
                groups.append((axis,))
            else:
                group.append(axis)
    if group is not None:
        raise SpaceError(f"layout {layout!r}: parentheses must be balanced, not nested and not empty")
    return tuple(groups)


def layout_shape(layout: str, axes: Mapping[str, int]) -> tuple[int, ...]:
    """Shape of a parameter with this layout when the named axes have the lengths ``axes``."""
    return tuple(math.prod(axis.length(axes) for axis in group) for group in parse_layout(layout))


def slice_view(tensor: Tensor, layout: str, largest: Mapping[str, int], axes: Mapping[str, int]) -> Tensor:
    """The part of ``tensor`` that a module with lengths ``axes`` uses, grouped axes left unfolded: always a view.

    Args:
        tensor: contiguous, with lengths ``largest``.
        layout: its layout.
        largest: axis name -> length in ``tensor``.
        axes: axis name -> length wanted, at most the largest.

    Raises:
        SpaceError: a wanted length is larger than the tensor has, or a kernel cannot be centred (one odd, one even).
    """
    flat = [axis for group in parse_layout(layout) for axis in group]
    view = tensor.view([axis.length(largest) for axis in flat])
    for position, axis in enumerate(flat):
        full, length = axis.length(largest), axis.length(axes)
        if length > full or (axis.anchor == "centre" and (full - length) % 2):
            raise SpaceError(f"layout {layout!r}: axis {axis.name!r} of length {full} cannot be cut to {length}")
        start = {"first": 0, "centre": (full - length) // 2, "last": full - length}[axis.anchor]
        view = view.narrow(position, start, length)
    return view
