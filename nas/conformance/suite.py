"""All items of the contract, by name, and an operator's way through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nas.conformance import checks, deployment
from nas.conformance.checks import Outcome
from search_spaces.operators import Operator

Check = Callable[[type[Operator]], Outcome]

CHECKS: dict[str, Check] = {
    "builds": checks.builds,
    "layout": checks.layout,
    "slices": checks.slices,
    "reference": checks.independent,
    "degenerate": checks.degenerate,
    "published": checks.published,
    "cost": checks.costs,
    "fvcore": checks.fvcore,
    "bf16": checks.half,
    "causal": checks.causality,
    "source": deployment.source,
    "onnxruntime": deployment.onnxruntime,
    "executorch": deployment.executorch,
}


def check_operator(operator: type[Operator], items: Iterable[str] = tuple(CHECKS)) -> dict[str, Outcome]:
    """Item -> outcome; an exception inside an item is a failure of that item."""
    outcomes = {}
    for item in items:
        try:
            outcomes[item] = CHECKS[item](operator)
        except Exception as error:  # an operator under test may fail in any way, and the others' turn must come
            outcomes[item] = Outcome(
                "fail", None, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            )
    return outcomes
