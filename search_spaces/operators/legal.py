"""Checks of an operator's sizes, all with one form of message: the operator, the size, what came and what is legal."""

from __future__ import annotations

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator


def require(holds: bool, operator: type[Operator], size: str, value: int, legal: str) -> None:
    """Raises `SpaceError` naming ``size``, what came and what is ``legal``, unless ``holds``."""
    if not holds:
        raise SpaceError(f"operator {operator.name!r}: {size}: got {value}; legal: {legal}")


def positive(operator: type[Operator], **sizes: int) -> None:
    """Refuses sizes below 1."""
    for size, value in sizes.items():
        require(value >= 1, operator, size, value, "1 or more")


def flag(operator: type[Operator], **sizes: int) -> None:
    """Refuses sizes that are neither 0 nor 1."""
    for size, value in sizes.items():
        require(value in (0, 1), operator, size, value, "0, 1")


def odd(operator: type[Operator], **sizes: int) -> None:
    """Refuses even sizes: a kernel is cut at its centre."""
    for size, value in sizes.items():
        require(value % 2 == 1, operator, size, value, "odd numbers")
