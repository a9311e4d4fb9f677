"""The contract must fail operators that break it: one right operator, and the same with one thing wrong at a time."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from nas.conformance import CHECKS, check_operator
from search_spaces import SpaceError
from search_spaces.operators import Operator, registry
from search_spaces.references import registry as evidence

ITEMS = [item for item in CHECKS if item not in ("onnxruntime", "executorch", "published", "causal")]


class Right(Operator):
    """A pointwise map of channels.

    Args:
        dim: channels in and out.
        ratio: hidden channels over dim.
    """

    name, role, family = "right_operator", "mixer", "conv"
    elastic = {"ratio": (1, 2)}
    layout = {"up.weight": "hidden dim 1 1", "up.bias": "hidden", "down.weight": "dim hidden 1 1", "down.bias": "dim"}

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.up = nn.Conv2d(dim, dim * ratio, 1)
        self.down = nn.Conv2d(dim * ratio, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.relu(self.up(x)))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "hidden": sizes["dim"] * sizes["ratio"]}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["ratio"]
        return 2 * tokens * dim * hidden, tokens * (dim + hidden)


def slow(op: Right, x: Tensor) -> Tensor:
    hidden = torch.relu(torch.einsum("oc,bchw->bohw", op.up.weight[..., 0, 0], x) + op.up.bias[:, None, None])
    return torch.einsum("oc,bchw->bohw", op.down.weight[..., 0, 0], hidden) + op.down.bias[:, None, None]


class WrongWork(Right):
    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        macs, activations = super().work(height, width, **sizes)
        return macs + 1, activations


class WrongLayout(Right):
    layout = {**Right.layout, "up.weight": "dim hidden 1 1"}


class NoLayout(Right):
    layout = {key: value for key, value in Right.layout.items() if key != "down.bias"}


class WrongShape(Right):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :, 1:]


class WrongFunction(Right):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 1.001


class NotANumber(Right):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 0.0


class ReadsItsWeightsLate(Right):
    """Computes with weights that it copied when it was made: a slice of the supernet would be stale."""

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__(dim, ratio)
        self.kept = [self.up.weight]

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.relu(nn.functional.conv2d(x, self.kept[0], self.up.bias)))


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registrations of a test are undone after it."""
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    monkeypatch.setattr(evidence, "_REFERENCES", {**evidence._REFERENCES, "right_operator": slow})
    from search_spaces import build

    build.operator_layout.cache_clear()
    yield
    build.operator_layout.cache_clear()
    build._parameters.cache_clear()


def outcomes(operator: type[Operator]) -> dict[str, str]:
    registry.register(operator)
    return {item: outcome.status for item, outcome in check_operator(operator, ITEMS).items()}


def test_a_right_operator_passes_and_what_is_missing_is_named() -> None:
    found = outcomes(Right)
    assert found.pop("degenerate") == "untested"
    assert set(found.values()) == {"pass"}, found


@pytest.mark.parametrize(
    ("wrong", "item"),
    [
        (WrongWork, "cost"),
        (WrongWork, "fvcore"),
        (WrongLayout, "layout"),
        (NoLayout, "layout"),
        (WrongShape, "builds"),
        (WrongFunction, "reference"),
        (NotANumber, "builds"),
        (NotANumber, "bf16"),
        (ReadsItsWeightsLate, "slices"),
    ],
)
def test_a_wrong_operator_fails_where_it_is_wrong(wrong: type[Right], item: str) -> None:
    assert outcomes(wrong)[item] == "fail"


def test_elastic_must_name_the_constructors_sizes() -> None:
    from nas.conformance.cases import cases

    registry.register(Right)
    for elastic in ({"ratio": (2, 1)}, {"ratios": (1, 2)}, {"ratio": ()}):
        wrong = type("Wrong", (Right,), {"elastic": elastic})
        with pytest.raises(SpaceError, match="elastic"):
            cases(wrong)
