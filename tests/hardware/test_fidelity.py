"""What a converted model computes is held against torch."""

import numpy as np
import pytest
import torch

from hardware import HardwareError
from hardware.runtimes.fidelity import MOST, check_outputs

LARGEST = 4.0


def reference() -> torch.Tensor:
    return torch.tensor([[1.0, -LARGEST, 0.0]])


def test_the_difference_is_relative_to_the_largest_output() -> None:
    for factor in (0.9, -0.9):
        check_outputs("Net", "ncnn", reference(), reference().numpy() + factor * MOST * LARGEST)
    for factor in (1.1, -1.1):
        with pytest.raises(HardwareError, match=r"Net is converted wrongly: ncnn's output differs .* by 1\.1e-03"):
            check_outputs("Net", "ncnn", reference(), reference().numpy() + factor * MOST * LARGEST)


def test_every_output_counts_and_none_compares_with_nan_or_another_shape() -> None:
    good, bad = reference().numpy(), np.full((1, 3), np.nan, np.float32)
    with pytest.raises(HardwareError, match="by nan"):
        check_outputs("Net", "ncnn", (reference(), reference()), (good, bad))
    for got in ((good,), (good, good[0])):
        with pytest.raises(HardwareError, match="other shapes"):
            check_outputs("Net", "ncnn", (reference(), reference()), got)


def test_integers_zeros_and_empty_outputs_compare() -> None:
    check_outputs("Net", "LiteRT", torch.tensor([3, 5]), np.array([3, 5], np.int32))
    check_outputs("Net", "LiteRT", torch.zeros(2), np.zeros(2, np.float32))
    check_outputs("Net", "LiteRT", torch.zeros(0, 2), np.zeros((0, 2), np.float32))
    with pytest.raises(HardwareError, match="converted wrongly"):
        check_outputs("Net", "LiteRT", torch.zeros(2), np.full(2, 1e-3))
