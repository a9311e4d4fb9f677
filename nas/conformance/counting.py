"""Costs counted while a module runs, by three counters that know nothing of its formulas."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

WRITERS = ("convolution", "mm", "bmm", "addmm", "baddbmm")  # their outputs are the activations

# what fvcore should count as nothing: it moves, compares, reduces or transforms values one by one
FREE = tuple(
    """
    abs add add_ adaptive_avg_pool2d affine_grid_generator all alias arange argmax avg_pool2d avg_pool1d batch_norm
    bitwise_and broadcast_tensors cat ceil chunk clamp clamp_min clamp_max clone constant_pad_nd contiguous copy_ cos cumsum
    detach diagonal div div_ dropout elu embedding empty eq erf exp expand expand_as expm1 fill_ flatten flip floor
    floor_divide full full_like gather ge gelu group_norm gt hardsigmoid hardswish index index_select instance_norm
    l1_norm layer_norm le leaky_relu linspace log log1p log_softmax logical_and logical_not lt masked_fill max max_pool2d
    maximum mean meshgrid min minimum mul mul_ narrow ne neg new_full new_ones new_zeros norm ones ones_like pad permute
    pixel_shuffle pixel_unshuffle pow reciprocal relu relu6 relu_ remainder repeat repeat_interleave reshape roll round rsqrt
    rsub scatter select selu sigmoid sign silu silu_ sin slice softmax softplus split split_with_sizes sqrt square squeeze
    stack sub sub_ sum t tanh tensor_split tile to topk transpose tril triu type_as unbind unflatten unfold unsqueeze
    upsample_bilinear2d upsample_nearest2d var var_mean view where zeros zeros_like hardtanh linalg_vector_norm
    frobenius_norm movedim one_hot sort square_ cumprod log_sigmoid logaddexp mish logsigmoid tanh_ sigmoid_ exp_
    lift_fresh index_put index_put_
    """.split()  # noqa: SIM905
)


def torch_costs(module: nn.Module, shape: tuple[int, ...], ids: bool) -> tuple[int, int]:
    """(MACs, values written by convolutions and matrix products) of one input, the MACs by torch's own counter; in one pass on
    the meta device: ``module`` must be there."""
    x = torch.zeros(1, *shape, dtype=torch.int64 if ids else torch.float32, device="meta")
    written = 0

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal written
            out = func(*args, **(kwargs or {}))
            if func._schema.name.removeprefix("aten::") in WRITERS:
                written += out.numel()
            return out

    with FlopCounterMode(display=False) as counter, torch.no_grad(), Count():
        module(x)
    return int(counter.get_total_flops()) // 2, written


def fvcore_macs(module: nn.Module, x: Tensor) -> tuple[int, list[str]]:
    """(MACs, operations that fvcore could not count) of one input, with handles for every operation this project uses."""
    from fvcore.nn import FlopCountAnalysis

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(module, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        analysis.tracer_warnings("none")
        for name in FREE:
            analysis.set_op_handle(f"aten::{name}", _nothing)
        for name in ("matmul", "bmm", "mm"):
            analysis.set_op_handle(f"aten::{name}", _product)
        analysis.set_op_handle("aten::baddbmm", _added_product)
        counted = analysis.by_operator()
        return int(sum(counted.values())), sorted(analysis.unsupported_ops())


def _shape(value: Any) -> list[int]:
    return list(value.type().sizes())


def _nothing(inputs: list[Any], outputs: list[Any]) -> int:
    return 0


def _product(inputs: list[Any], outputs: list[Any]) -> int:
    """MACs of a (broadcast, batched) matrix product."""
    return math.prod(_shape(outputs[0])) * _shape(inputs[0])[-1]


def _added_product(inputs: list[Any], outputs: list[Any]) -> int:
    return math.prod(_shape(outputs[0])) * _shape(inputs[1])[-1]
