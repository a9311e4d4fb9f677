"""Operators: one, or one close family, a file. Importing the package registers them all."""

from search_spaces.operators import attention, convnext, frame, identity, mbconv, mlp, short_conv, ssd
from search_spaces.operators.base import Operator
from search_spaces.operators.registry import family, get_operator, operator_names, register

__all__ = [
    "Operator",
    "attention",
    "convnext",
    "family",
    "frame",
    "get_operator",
    "identity",
    "mbconv",
    "mlp",
    "operator_names",
    "register",
    "short_conv",
    "ssd",
]
