"""Scan directions over an image: row by row forward and backward, then column by column forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor


def by_columns(t: Tensor, height: int, width: int) -> Tensor:
    """``(B, height * width, ...)`` from row by row to column by column; with the sides exchanged, the inverse."""
    return t.unflatten(1, (height, width)).transpose(1, 2).flatten(1, 2)


def mean_over_scans(
    run: Callable[..., Tensor], inputs: Sequence[Tensor], scans: int, height: int, width: int
) -> Tensor:
    """The mean over ``scans`` directions (the cross-scan of VMamba, Liu et al., arXiv 2401.10166) of
    ``run(*inputs, scan=number, backward=True or False)``, all over tokens ``(B, height * width, ...)``."""
    y = run(*inputs, scan=0, backward=False)
    if scans > 1:
        y = y + run(*inputs, scan=1, backward=True)
    if scans > 2:
        turned = [by_columns(t, height, width) for t in inputs]
        columns = run(*turned, scan=2, backward=False) + run(*turned, scan=3, backward=True)
        y = y + by_columns(columns, width, height)
    return y / scans
