"""The calls of activation functions and norms while a network runs, whoever makes them.

Operators call ``F.gelu(x)``, ``x.sigmoid()`` or ``nn.ReLU`` as they like, and some write their norm out with ``rsqrt``.
Hooks on modules would miss all but the third. A `TorchFunctionMode` sees every one of these calls, since modules end in the
same functions; and it needs no list of the operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_BENT = """relu relu6 gelu silu elu selu celu leaky_relu hardswish hardtanh mish softplus sigmoid hardsigmoid tanh logsigmoid
relu_ sigmoid_ tanh_ hardtanh_ elu_ leaky_relu_ selu_""".split()  # noqa: SIM905
ACTIVATIONS = frozenset(getattr(owner, name) for name in _BENT for owner in (F, torch, Tensor) if hasattr(owner, name))
BATCH_NORMS = frozenset((F.batch_norm, torch.batch_norm))
OTHER_NORMS = frozenset((F.layer_norm, F.group_norm, F.rms_norm, F.instance_norm))
TOPPED = frozenset((F.relu6, F.hardtanh))  # nn.ReLU6 is a hardtanh
ROOTS = frozenset((torch.rsqrt, Tensor.rsqrt))  # a norm written out divides by one


class ActivationInputs(TorchFunctionMode):
    """Calls ``see`` with the input of every activation function."""

    def __init__(self, see: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._see = see

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in ACTIVATIONS:
            self._see(_argument(args, kwargs, 0, "input"))
        return func(*args, **(kwargs or {}))


class NeutralNorms(TorchFunctionMode):
    """Norms that let a flow through: batch norm does nothing, every other norm divides by a constant.

    That constant is the root mean square of what the norm sees, and no gradient goes through it. ReLU6 becomes ReLU: a flow
    may be of any size, and none would pass above six.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in BATCH_NORMS:
            return _argument(args, kwargs, 0, "input")
        if func in OTHER_NORMS:
            x = _argument(args, kwargs, 0, "input")
            return x / (x.detach().square().mean().sqrt() + 1e-12)
        if func in TOPPED:
            return F.relu(_argument(args, kwargs, 0, "input"))
        out = func(*args, **(kwargs or {}))
        return out.detach() if func in ROOTS else out


class NormScales(TorchFunctionMode):
    """Adds up the logs of what norms divide by: for each call the root of the mean variance (or mean square).

    Attributes:
        log_scale: the sum so far.
        calls: how many norms ran.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale, self.calls = 0.0, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in BATCH_NORMS | OTHER_NORMS | ROOTS:
            x = _argument(args, kwargs, 0, "input")
        if func in BATCH_NORMS or func is F.instance_norm:
            self._add(x.var((*((0,) if func in BATCH_NORMS else ()), *range(2, x.ndim)), correction=0))
        elif func in (F.layer_norm, F.rms_norm):
            axes = tuple(range(-len(_argument(args, kwargs, 1, "normalized_shape")), 0))
            self._add(x.var(axes, correction=0) if func is F.layer_norm else x.square().mean(axes))
        elif func is F.group_norm:
            self._add(x.unflatten(1, (_argument(args, kwargs, 1, "num_groups"), -1)).flatten(2).var(2, correction=0))
        elif func in ROOTS:
            self._add(x)
        return func(*args, **(kwargs or {}))

    def _add(self, variances: Tensor) -> None:
        self.log_scale += 0.5 * float(variances.detach().double().mean().clamp(min=1e-30).log())
        self.calls += 1


def _argument(args: Any, kwargs: Any, place: int, name: str) -> Any:
    return args[place] if len(args) > place else kwargs[name]
