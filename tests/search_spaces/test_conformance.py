"""Every registered operator through every item of the contract that needs only PyTorch."""

import pytest

from nas.conformance import CHECKS, check_operator
from search_spaces import references
from search_spaces.operators import get_operator, operator_names

references.load()
DEPLOYMENT = ("onnxruntime", "executorch")


@pytest.mark.parametrize("name", operator_names())
def test_operator_keeps_the_contract(name: str) -> None:
    outcomes = check_operator(get_operator(name), [item for item in CHECKS if item not in DEPLOYMENT])
    assert {item: found.detail for item, found in outcomes.items() if found.status not in ("pass", "n/a")} == {}
