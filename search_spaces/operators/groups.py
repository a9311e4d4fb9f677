"""Groups of the tokens of an image: windows, stripes, grids, and what in them is padding or beyond a border."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

HIDDEN = -1e4  # added to a score, it makes the weight 0 in every precision and keeps a fully hidden row finite


def hide(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean map of what may be seen -> what to add to the scores."""
    return (1 - visible.to(dtype)) * HIDDEN


def to_windows(x: Tensor, rows: int, columns: int) -> Tensor:
    """``(B, H, W, C)`` -> ``(B, windows, rows * columns, C)``, windows and their tokens row by row; the sides divide."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch * (height // rows), rows, width // columns, columns, channels).transpose(1, 2)
    return x.reshape(batch, -1, rows * columns, channels)


def from_windows(x: Tensor, rows: int, columns: int, across: int) -> Tensor:
    """The inverse of `to_windows` where ``across`` windows stand side by side."""
    batch, windows, _, channels = x.shape
    x = x.reshape(batch * (windows // across), across, rows, columns, channels).transpose(1, 2)
    return x.reshape(batch, -1, across * columns, channels)


@dataclass(frozen=True, slots=True)
class Grouping:
    """An image cut into groups of tokens of one shape. What has to be added at its lower right end is hidden.

    Attributes:
        height, width: of the image.
        cell: rows and columns of the cells that the image is cut into.
        strided: a group is a cell, or (if strided) the tokens at one place of every cell.
        shift: by how much the cells are moved down and right; those at the border are cut in two by it.
    """

    height: int
    width: int
    cell: tuple[int, int]
    strided: bool = False
    shift: tuple[int, int] = (0, 0)

    @property
    def cells(self) -> tuple[int, int]:
        """Cells down and across."""
        return math.ceil(self.height / self.cell[0]), math.ceil(self.width / self.cell[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a group."""
        return self.cells if self.strided else self.cell

    @property
    def count(self) -> int:
        """Number of groups."""
        return math.prod(self.cell if self.strided else self.cells)

    def split(self, x: Tensor) -> Tensor:
        """``(B, H, W, C)`` -> ``(B, groups, tokens of a group, C)``."""
        below, right = (n * c - side for n, c, side in zip(self.cells, self.cell, x.shape[1:3], strict=True))
        if below or right:
            x = F.pad(x, (0, 0, 0, right, 0, below))
        if any(self.shift):
            x = torch.roll(x, (-self.shift[0], -self.shift[1]), (1, 2))
        groups = to_windows(x, *self.cell)
        return groups.transpose(1, 2) if self.strided else groups

    def join(self, groups: Tensor) -> Tensor:
        """The inverse of `split`."""
        x = from_windows(groups.transpose(1, 2) if self.strided else groups, *self.cell, self.cells[1])
        if any(self.shift):
            x = torch.roll(x, self.shift, (1, 2))
        return x[:, : self.height, : self.width]

    def hidden(self, like: Tensor) -> Tensor | None:
        """What to add to the scores ``(groups, 1, tokens, tokens)`` so that tokens see only those on their side of the
        image's border; None where all see all."""
        covered = self.cells[0] * self.cell[0], self.cells[1] * self.cell[1]
        if covered == (self.height, self.width) and not any(self.shift):
            return None
        rows, columns = (torch.arange(side, device=like.device) for side in (self.height, self.width))
        side = 1 + (rows < self.shift[0]).to(like.dtype).unsqueeze(-1) + 2 * (columns < self.shift[1]).to(like.dtype)
        side = self.split(side.reshape(1, self.height, self.width, 1)).reshape(self.count, 1, -1, 1)
        return hide(side == side.transpose(-2, -1), like.dtype)


def windows(height: int, width: int, window: int, shift: int = 0) -> Grouping:
    """Windows of ``window x window`` neighbours, or of the image's side where that is smaller; ``shift`` 1 moves them by
    half a window along every side that has more than one."""
    rows, columns = min(window, height), min(window, width)
    shifts = (rows // 2 if rows < height else 0, columns // 2 if columns < width else 0)
    return Grouping(height, width, (rows, columns), shift=shifts if shift else (0, 0))


def whole(height: int, width: int) -> Grouping:
    """One group."""
    return Grouping(height, width, (height, width))
