"""The operators by name. A name is never overwritten silently."""

from __future__ import annotations

import difflib
from typing import TypeVar

from search_spaces.errors import SpaceError
from search_spaces.operators.base import DOMAINS, FAMILIES, ROLES, Operator

_OPERATORS: dict[str, type[Operator]] = {}
OperatorClass = TypeVar("OperatorClass", bound=type[Operator])


def register(operator: OperatorClass) -> OperatorClass:
    """Class decorator: makes ``operator`` known by its ``name``.

    Raises:
        SpaceError: the name is empty or taken, or role, family or domain is not one of the known ones.
    """
    if not operator.name or operator.name in _OPERATORS:
        raise SpaceError(f"operator {operator.__name__}: name {operator.name!r} is empty or taken")
    if operator.role not in ROLES:
        raise SpaceError(f"operator {operator.name!r}: role {operator.role!r}; legal: {', '.join(ROLES)}")
    if operator.family not in FAMILIES:
        raise SpaceError(f"operator {operator.name!r}: family {operator.family!r}; legal: {', '.join(FAMILIES)}")
    if operator.domain not in DOMAINS:
        raise SpaceError(f"operator {operator.name!r}: domain {operator.domain!r}; legal: {', '.join(DOMAINS)}")
    _OPERATORS[operator.name] = operator
    return operator


def get_operator(name: str) -> type[Operator]:
    """The operator class registered as ``name``.

    Raises:
        SpaceError: there is none; the message lists the legal names.
    """
    if name not in _OPERATORS:
        close = difflib.get_close_matches(name, _OPERATORS, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise SpaceError(f"operator: got {name!r}{hint}; legal: {', '.join(_OPERATORS)}")
    return _OPERATORS[name]


def operator_names(role: str | None = None, domain: str | None = None) -> tuple[str, ...]:
    """Registered names, of one role and one domain if given, in order of registration."""
    return tuple(
        name
        for name, operator in _OPERATORS.items()
        if role in (None, operator.role) and domain in (None, operator.domain)
    )


def family(name: str) -> str:
    """The family of operator ``name``, one of `FAMILIES`."""
    return get_operator(name).family
