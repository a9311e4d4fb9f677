"""The zero-cost proxies by name. A name is never overwritten silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from predictors.proxies.subject import Subject

Measure = Callable[[Subject], float]


@dataclass(frozen=True)
class Proxy:
    """A number that an untrained network has; see its ``measure`` for paper and formula.

    Attributes:
        measure: the number of a `Subject`, whose network is a copy that it may change. Raises `Undefined` where the network
            has none.
        labels: whether it needs the labels.
    """

    measure: Measure
    labels: bool


PROXIES: dict[str, Proxy] = {}


def register(name: str, labels: bool = False) -> Callable[[Measure], Measure]:
    """Decorator: makes a measure known as ``name``.

    Raises:
        ValueError: the name is taken.
    """

    def known(measure: Measure) -> Measure:
        if name in PROXIES:
            raise ValueError(f"proxy {name!r}: the name is taken")
        PROXIES[name] = Proxy(measure, labels)
        return measure

    return known
