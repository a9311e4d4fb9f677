"""One BLAS thread for a function: matrices here are small, and sums must not depend on the number of cores."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


def one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: ``function`` runs with one BLAS thread; the old number is back when it returns or raises.

    On a busy machine of two cores it is several times faster so: threads that wait for each other spin.
    """

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with _controller().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


@lru_cache
def _controller() -> ThreadpoolController:
    """Found once: looking through the loaded libraries takes longer than a small fit, and NumPy's are loaded by then."""
    return ThreadpoolController()
