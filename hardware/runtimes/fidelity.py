"""Converters make mistakes without a word: the converted model's outputs are held against torch's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError

if TYPE_CHECKING:
    from torch import Tensor

MOST = 1e-3
"""Largest difference over the largest output; fp32 stays below 1e-4, Winograd's convolutions included."""


def check_outputs(name: str, runtime: str, expected: object, got: object) -> None:
    """Compare the outputs (a tensor or a tuple of them) of a module with those of its converted model.

    Raises HardwareError when they differ by more than `MOST`, in shape or in number. name: the module's; runtime: in words.
    """
    wanted, found = _tuple(expected), _tuple(got)
    if [tuple(y.shape) for y in wanted] != [tuple(y.shape) for y in found]:
        raise HardwareError(f"{name} is converted wrongly: {runtime}'s outputs have other shapes than torch's")
    errors = [_difference(y, z) for y, z in zip(wanted, found, strict=True)]
    error = next((error for error in errors if not error <= MOST), None)  # NaN is no smaller than anything
    if error is not None:
        raise HardwareError(
            f"{name} is converted wrongly: {runtime}'s output differs from torch's by {error:.1e} of its largest value"
        )


def _tuple(outputs: object) -> tuple[Any, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _difference(wanted: Tensor, found: Any) -> float:
    import numpy as np

    reference = wanted.detach().double().numpy()
    largest = np.abs(reference).max(initial=1e-12)
    return float((np.abs(reference - np.asarray(found, dtype=np.float64)) / largest).max(initial=0.0))
