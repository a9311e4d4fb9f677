"""Every registered operator through every item of the contract that needs only PyTorch."""

import pytest

from nas.conformance import CHECKS
from search_spaces import references
from search_spaces.operators import get_operator, operator_names

references.load()
DEPLOYMENT = ("onnxruntime", "executorch")


@pytest.mark.parametrize("item", [item for item in CHECKS if item not in DEPLOYMENT])
@pytest.mark.parametrize("name", operator_names())
def test_operator_keeps_the_contract(name: str, item: str) -> None:
    outcome = CHECKS[item](get_operator(name))
    assert outcome.status in ("pass", "n/a"), outcome.detail
