"""Evidence by operator name. A user's module adds evidence for its own operator with the same three decorators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from search_spaces.errors import SpaceError

Reference = Callable[[Any, Tensor], Tensor]
Pair = Callable[[], tuple[Tensor, Tensor]]


class Degenerate(NamedTuple):
    """A setting at which ``operator`` must equal something simpler: ``run`` gives (what it gives, what it must give)."""

    operator: str
    title: str
    run: Pair


class Published(NamedTuple):
    """``operator`` against ``source``, which needs ``package``: ``run`` gives (what it gives, what the other gives)."""

    operator: str
    source: str
    package: str
    run: Pair


_REFERENCES: dict[str, Reference] = {}
_DEGENERATE: list[Degenerate] = []
_PUBLISHED: list[Published] = []


def reference(*operators: str) -> Callable[[Reference], Reference]:
    """Registers ``f(module, x)`` as the slow independent form of operators: the bare operator (no shell) in float64 and
    evaluation mode and its input -> what the operator must give, without calling the operator's own methods.

    Raises:
        SpaceError: an operator has one already.
    """

    def add(function: Reference) -> Reference:
        for name in operators:
            if name in _REFERENCES:
                raise SpaceError(f"reference: operator {name!r} has one already")
            _REFERENCES[name] = function
        return function

    return add


def degenerate(operator: str, title: str) -> Callable[[Pair], Pair]:
    """Registers a setting at which ``operator`` must equal something known, e.g. ``"window = image: full attention"``."""

    def add(run: Pair) -> Pair:
        _DEGENERATE.append(Degenerate(operator, title, run))
        return run

    return add


def published(operator: str, source: str, package: str) -> Callable[[Pair], Pair]:
    """Registers a comparison with ``source`` (class and package) that can run where ``package`` is installed."""

    def add(run: Pair) -> Pair:
        _PUBLISHED.append(Published(operator, source, package, run))
        return run

    return add


def reference_of(operator: str) -> Reference | None:
    """The slow independent form of ``operator``, if there is one."""
    return _REFERENCES.get(operator)


def degenerates_of(operator: str) -> list[Degenerate]:
    """The degenerate settings of ``operator``."""
    return [entry for entry in _DEGENERATE if entry.operator == operator]


def published_of(operator: str) -> list[Published]:
    """The comparisons of ``operator`` with other packages."""
    return [entry for entry in _PUBLISHED if entry.operator == operator]
