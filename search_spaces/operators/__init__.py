"""Operators: one, or one close family, a file. Importing the package imports, and so registers, every file in it."""

import importlib
import pkgutil

from search_spaces.operators.base import Operator
from search_spaces.operators.registry import family, get_operator, operator_names, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Operator", "family", "get_operator", "operator_names", "register"]
