"""The Legendre memory against scipy's simulation of the same linear system."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from search_spaces.operators.lmu import SequenceLMU
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("sequence_lmu", "cont2discrete and dlsim of the memory (scipy)", "scipy")
def scipy_signal() -> tuple[Tensor, Tensor]:
    order, window, length = 6, 25, 150
    row, column = np.arange(order)[:, None], np.arange(order)[None]
    a = np.where(row < column, -1.0, (-1.0) ** (row - column + 1)) * (2 * row + 1) / window
    b = ((2 * row + 1) * (-1.0) ** row) / window
    signal = package_module("scipy.signal")
    discrete = signal.cont2discrete((a, b, np.eye(order), np.zeros((order, 1))), dt=1.0, method="zoh")
    u = np.random.default_rng(0).standard_normal(length + 1)
    _, _, states = signal.dlsim(discrete, u)  # the state before each input
    op = SequenceLMU(dim=4, memories=1, order=order, window=window, causal=1).double()
    return op.core(torch.from_numpy(u[:length]).view(1, length, 1))[0, :, :, 0], torch.from_numpy(states[1:])
