"""The items of the contract that need only PyTorch. Each takes an operator class and says how it did."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hardware.runtimes.quiet import quiet
from nas.conformance.cases import EXTENTS, cases, one_operator_space, randomise, rows_of
from nas.conformance.counting import fvcore_macs, torch_costs
from search_spaces import OperatorSpec, Supernet, build_operator, cost
from search_spaces.build import operator_axes, operator_layout
from search_spaces.decode import example_inputs, takes_ids
from search_spaces.layout import layout_shape
from search_spaces.operators import Operator
from search_spaces.references import degenerates_of, published_of, reference_of


class Outcome(NamedTuple):
    """How an operator did in one item.

    Attributes:
        status: ``pass``, ``fail``, ``untested`` (the item applies, and there is nothing to test it by) or ``n/a``.
        figure: the largest error, where the item has one.
        detail: what was compared, or what went wrong.
    """

    status: str
    figure: float | None = None
    detail: str = ""


def error_of(got: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest wanted value."""
    if got.shape != wanted.shape:
        return math.inf
    return float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))


def judge(error: float, most: float, detail: str = "") -> Outcome:
    """Pass if ``error`` is at most ``most`` (never for NaN)."""
    return Outcome(
        "pass" if error <= most else "fail", error, detail if error <= most else f"{detail} (at most {most:g})"
    )


def _bare(spec: OperatorSpec, operator: type[Operator], seed: int = 0) -> Operator:
    torch.manual_seed(seed)
    module = operator(**dict(spec.sizes)).eval()
    randomise(module, seed)
    return module


def builds(operator: type[Operator]) -> Outcome:
    """Every value of every size, forward and backward at two extents: the shape it says, finite gradients everywhere."""
    count = 0
    for extent in EXTENTS[operator.domain]:
        for spec in cases(operator, extent):
            torch.manual_seed(0)
            module = build_operator(spec)
            (x,) = example_inputs(spec, 2, seed=0)
            if x.is_floating_point():
                x.requires_grad_()
            y = module(x)
            wanted = (2, *operator.output_shape(spec.shape, **dict(spec.sizes)))
            if tuple(y.shape) != wanted:
                return Outcome("fail", None, f"{spec}: gives {tuple(y.shape)}, says {wanted}")
            y.square().mean().backward()
            for name, tensor in [("its input", x), *module.named_parameters()]:
                if tensor.requires_grad and (tensor.grad is None or not torch.isfinite(tensor.grad).all()):
                    return Outcome("fail", None, f"{spec}: gradient of {name} is missing or not finite")
            count += 1
    return Outcome("pass", None, f"{count} builds")


def layout(operator: type[Operator]) -> Outcome:
    """The layout names every parameter and buffer with its true shape: the parameter formula."""
    for spec in cases(operator):
        layouts, axes = operator_layout(operator.name), operator_axes(spec)
        with torch.device("meta"):
            module = build_operator(spec)
        tensors = dict(module.named_parameters()) | {k: b for k, b in module.named_buffers() if b.ndim}
        if missing := set(tensors) - set(layouts):
            return Outcome("fail", None, f"{spec}: no layout for {', '.join(sorted(missing))}")
        for name, tensor in tensors.items():
            if layout_shape(layouts[name], axes) != tuple(tensor.shape):
                said = layout_shape(layouts[name], axes)
                return Outcome("fail", None, f"{spec}: {name} is {tuple(tensor.shape)}, its layout says {said}")
        formula = sum(math.prod(layout_shape(layouts[name], axes)) for name, _ in module.named_parameters())
        if formula != cost(spec).parameters:
            return Outcome("fail", None, f"{spec}: {cost(spec).parameters} parameters, its layout says {formula}")
    return Outcome("pass", None, "every parameter and buffer")


def slices(operator: type[Operator]) -> Outcome:
    """At every value of every size, the slice of the largest operator equals the extracted one, and so do gradients."""
    worst, extent = 0.0, EXTENTS[operator.domain][1]
    space = one_operator_space(operator, extent)
    supernet = Supernet(space, seed=0)
    randomise(supernet)
    for row in rows_of(space, cases(operator, extent)):
        architecture = space.architecture(np.array(row))
        (x,) = example_inputs(architecture.specs[0], 2, seed=0)
        for training in (False, True):
            supernet.train(training)
            supernet.zero_grad(set_to_none=True)
            own, bound = supernet.extract(architecture), supernet.subnet(architecture)
            wanted, got = own(x), bound(x)
            worst = max(worst, error_of(got.detach(), wanted.detach()))
        if not list(own.parameters()):
            continue
        wanted.square().sum().backward()
        got.square().sum().backward()
        whole = sum(float(p.grad.square().sum()) for p in supernet.parameters() if p.grad is not None)
        parts = sum(float(p.grad.square().sum()) for p in own.parameters() if p.grad is not None)
        if abs(whole - parts) > 1e-4 * max(parts, 1e-12):
            return Outcome("fail", None, f"{architecture.specs[0]}: gradients are lost or doubled on the way back")
    return judge(worst, 1e-6, "slice against extraction, fp32")


def independent(operator: type[Operator]) -> Outcome:
    """Equal to its slow independent form in float64, at every value of every size and both extents."""
    slow = reference_of(operator.name)
    if slow is None:
        return Outcome("untested", None, "no reference registered")
    worst = 0.0
    for extent in EXTENTS[operator.domain]:
        for spec in cases(operator, extent):
            module = _bare(spec, operator).double()
            (x,) = example_inputs(spec, 2, seed=0)
            x = x.double() if x.is_floating_point() else x
            with torch.no_grad():
                worst = max(worst, error_of(module(x), slow(module, x)))
    return judge(worst, 1e-9, "float64")


def degenerate(operator: type[Operator]) -> Outcome:
    """At its degenerate settings it equals what is known."""
    found = degenerates_of(operator.name)
    if not found:
        if operator.role not in ("mixer", "channel_mixer"):
            return Outcome("n/a", None, "asked of mixers only")
        return Outcome("untested", None, "no degenerate setting registered")
    worst = 0.0
    with torch.no_grad():
        for entry in found:
            worst = max(worst, error_of(*entry.run()))
    return judge(worst, 1e-5, "; ".join(entry.title for entry in found))


def published(operator: type[Operator]) -> Outcome:
    """Equal to implementations in other packages, with the same weights."""
    found = published_of(operator.name)
    if not found:
        return Outcome("n/a", None, "none in the packages at hand")
    worst, compared = 0.0, []
    for entry in found:
        try:
            with torch.no_grad(), quiet("torchao", "torch.utils._pytree", "transformers"):
                worst = max(worst, error_of(*entry.run()))
        except ModuleNotFoundError as missing:
            return Outcome("n/a", None, f"{missing.name} is not installed; pip install {entry.package}")
        compared.append(entry.source)
    return judge(worst, 1e-5, "; ".join(compared))


def costs(operator: type[Operator]) -> Outcome:
    """MACs and activations of the formulas equal those that torch counts."""
    for extent in EXTENTS[operator.domain]:
        for spec in cases(operator, extent):
            with torch.device("meta"):
                module = build_operator(spec).eval()
            said = cost(spec)
            macs, written = torch_costs(module, spec.shape, takes_ids(operator))
            if said.macs != macs:
                return Outcome("fail", None, f"{spec}: says {said.macs} MACs, torch counts {macs}")
            if said.activations != written:
                return Outcome("fail", None, f"{spec}: says {said.activations} activations, counted {written}")
    return Outcome("pass", 0.0, "FlopCounterMode on the meta device")


def fvcore(operator: type[Operator]) -> Outcome:
    """A second counter agrees, and knows every operation that the operator uses."""
    for spec in cases(operator, EXTENTS[operator.domain][1])[:2]:
        counted, unknown = fvcore_macs(build_operator(spec).eval(), *example_inputs(spec, 1, seed=0))
        if unknown:
            return Outcome("fail", None, f"{spec}: fvcore has no handle for {', '.join(unknown)}")
        if counted != cost(spec).macs:
            return Outcome("fail", None, f"{spec}: says {cost(spec).macs} MACs, fvcore counts {counted}")
    return Outcome("pass", 0.0, "nothing unsupported")


def half(operator: type[Operator]) -> Outcome:
    """In bfloat16 within its stated relative error of fp32, and finite, at the smallest and largest sizes."""
    worst = 0.0
    for spec in cases(operator)[:2]:
        module = _bare(spec, operator)
        (x,) = example_inputs(spec, 2, seed=0)
        with torch.no_grad():
            wanted = module(x)
            got = module.bfloat16()(x.bfloat16() if x.is_floating_point() else x).float()
        worst = max(worst, error_of(got, wanted) if torch.isfinite(got).all() else math.inf)
    return judge(worst, operator.bf16_error, "bf16 against fp32")


def causality(operator: type[Operator]) -> Outcome:
    """Causal: no output depends on a later token. Decoding token by token equals the whole pass; the state is as said."""
    if operator.domain != "sequence" or not operator.causal:
        return Outcome("n/a", None, "has no causal form")
    worst, (length,) = 0.0, EXTENTS["sequence"][1]
    for spec in cases(operator, (length,)):
        sizes = dict(spec.sizes)
        if sizes.get("causal", 1) == 0:
            continue
        module = _bare(spec, operator).double()
        (x,) = example_inputs(spec, 2, seed=0)
        (other,) = example_inputs(spec, 2, seed=1)
        x, other = (x.double(), other.double()) if x.is_floating_point() else (x, other)
        middle = length // 2
        changed = torch.cat([x[:, :middle], other[:, middle:]], 1)
        with torch.no_grad():
            whole = module(x)
            if error_of(module(changed)[:, :middle], whole[:, :middle]) > 1e-12:
                return Outcome("fail", None, f"{spec}: an output depends on a later token")
            state = module.initial_state(2, length)
            counted, said = sum(t.numel() for t in state) // 2, operator.state_size(length, **sizes)
            if counted != said:
                return Outcome("fail", None, f"{spec}: its state has {counted} values, says {said}")
            state = tuple(t.double() if t.is_floating_point() else t for t in state)
            steps = []
            for t in range(length):
                y, *after = module.decode(x[:, t], *state)
                if [t.shape for t in after] != [t.shape for t in state]:
                    return Outcome("fail", None, f"{spec}: the state changes its shape")
                state = tuple(after)
                steps.append(y)
        worst = max(worst, error_of(torch.stack(steps, 1), whole))
    return judge(worst, 1e-9, "decode against forward, float64")
