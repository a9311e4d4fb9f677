"""What runtimes tell of a run: kernels with their times, and the memory they have planned."""

import tempfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hardware import HardwareError, get_runtime
from hardware.runtimes import Runtime


def runtime(name: str, precision: str = "fp32") -> Runtime:
    found = get_runtime(name, precision)
    usable, reason = found.availability()
    if not usable:
        pytest.skip(reason)
    return found


class Uneven(nn.Module):
    """A large convolution and a small one, and a sum along an axis, which XNNPACK does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Conv2d(32, 128, 3, padding=1)
        self.small = nn.Conv2d(128, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(self.small(self.large(x)), -1)


@pytest.mark.parametrize(
    ("name", "kind", "summation"),
    [
        ("onnxruntime", "Conv", "CumSum"),
        ("openvino", "Convolution", "CumSum"),
        ("executorch", "xnnpack", "portable"),
    ],
)
def test_a_profile_names_the_kernels_longest_first(
    name: str, kind: str, summation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = runtime(name).profile(Uneven(), (torch.randn(1, 32, 24, 24),), runs=5)
    # nothing is left behind, but for the folder that torch makes in every process that exports
    assert [path for path in tmp_path.iterdir() if not path.name.startswith("torchinductor")] == []
    times = [kernel.ms for kernel in found]
    assert times == sorted(times, reverse=True)
    assert min(times) >= 0
    assert {kind, summation} <= {kernel.kind for kernel in found}
    assert len({kernel.name for kernel in found}) >= 3
    assert sum(kernel.kind == kind for kernel in found) >= 2
    assert sum(times) > 0


def test_a_profile_of_int8_shows_integers_at_work() -> None:
    found = runtime("onnxruntime", "int8").profile(Uneven(), (torch.randn(1, 32, 24, 24),), runs=2)
    assert "QLinearConv" in {kernel.kind for kernel in found}


class Residual(nn.Module):
    """XNNPACK takes none of it: every tensor between is planned."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(torch.cumsum(x, -1), -2)


def test_executorch_tells_the_memory_it_has_planned() -> None:
    executorch = runtime("executorch")
    x = torch.zeros(1, 4, 16, 16)  # 4096 bytes
    found = executorch.memory_bytes(Residual(), (x,))
    assert found is not None
    # The result of the one sum and that of the other live at the same time; at most everything has its own place.
    assert 2 * 4096 <= found <= 3 * 4096 + 64
    double = executorch.memory_bytes(Residual(), (torch.zeros(1, 8, 16, 16),))
    assert double == 2 * found


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "executorch"])
def test_a_module_that_fails_cannot_be_profiled(name: str) -> None:
    with pytest.raises(HardwareError, match="Linear fails on its inputs"):
        runtime(name).profile(nn.Linear(3, 3), (torch.zeros(4),))
