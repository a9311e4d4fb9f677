"""The items of the contract that need a deployment runtime: the exported operator gives what PyTorch gives."""

from __future__ import annotations

import numpy as np
import torch

from hardware.errors import HardwareError
from hardware.runtimes import get_runtime
from nas.conformance.cases import EXTENTS, cases, one_operator_space, randomise, rows_of
from nas.conformance.checks import Outcome, error_of, judge
from nas.export.parity import relative_error
from nas.export.source import module_of, network_source
from search_spaces import build_network, build_operator
from search_spaces.decode import example_inputs
from search_spaces.operators import Operator

RUNTIMES = ("onnxruntime", "executorch")


def deploys(operator: type[Operator], runtime: str) -> Outcome:
    """Its largest and smallest forms, converted and run in ``runtime``, within 1e-4; or why it cannot run there."""
    if runtime in operator.not_deployable:
        return Outcome("n/a", None, f"not deployable: {operator.not_deployable[runtime]}")
    chosen = get_runtime(runtime)
    usable, reason = chosen.availability()
    if not usable:
        return Outcome("untested", None, reason)
    worst = 0.0
    first, second = EXTENTS[operator.domain]
    for spec in (cases(operator, first)[1], cases(operator, second)[0]):
        torch.manual_seed(0)
        module = build_operator(spec).eval()
        randomise(module)
        (x,) = example_inputs(spec, 1, seed=0)
        with torch.no_grad():
            wanted = module(x).numpy()
        try:
            got = np.asarray(chosen.prepare(module, (x,))())
        except HardwareError as error:
            return Outcome("fail", None, f"{spec}: {error}")
        worst = max(worst, relative_error(wanted, got) if got.shape == wanted.shape else float("inf"))
    return judge(worst, 1e-4, runtime)


def source(operator: type[Operator]) -> Outcome:
    """Its source in an exported package stands alone and computes the same, at every value of every size."""
    worst = 0.0
    space = one_operator_space(operator, EXTENTS[operator.domain][1])
    for row in rows_of(space, cases(operator, EXTENTS[operator.domain][1])):
        architecture = space.architecture(np.array(row))
        torch.manual_seed(0)
        network = build_network(architecture).eval()
        randomise(network)
        alone = module_of(network_source(architecture)).build().eval()
        alone.load_state_dict(network.state_dict())
        (x,) = example_inputs(architecture.specs[0], 2, seed=0)
        with torch.no_grad():
            worst = max(worst, error_of(alone(x), network(x)))
    return judge(worst, 1e-6, "the exported Python file")


def onnxruntime(operator: type[Operator]) -> Outcome:
    """Exported to ONNX and run in ONNX Runtime."""
    return deploys(operator, "onnxruntime")


def executorch(operator: type[Operator]) -> Outcome:
    """Lowered to ExecuTorch (XNNPACK) and run there."""
    return deploys(operator, "executorch")
