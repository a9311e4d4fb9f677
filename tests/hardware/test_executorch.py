"""ExecuTorch runs what was converted, with any number of threads, and says what it cannot convert and where things run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hardware import HardwareError, get_runtime
from hardware.runtimes import Delegation, delegation, export_executorch
from hardware.runtimes import conversion as conversion_module
from hardware.runtimes.executorch import ExecuTorchRuntime
from hardware.runtimes.executorch_program import ExecuTorchProgram
from hardware.runtimes.quiet import silent_stderr
from search_spaces import build_network, get_space
from tests.hardware.modules import DecodeStep, DependsOnData, image

USABLE, REASON = get_runtime("executorch").availability()
needs_executorch = pytest.mark.skipif(not USABLE, reason=REASON)


class Conv(nn.Module):
    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, dim, 3, padding=1), nn.BatchNorm2d(dim), nn.Hardswish())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Inverse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.inv(x)


def difference(expected: Tensor, got: Tensor) -> float:
    return float((expected - got).abs().max())


@needs_executorch
def test_a_network_of_a_space_matches_eager_torch() -> None:
    space = get_space("hybrid-vision/tiny")
    sampled = [space.architecture(row) for row in space.sample(60, np.random.default_rng(0))]
    # A conversion takes half a second an operator: the shortest network will do.
    architecture = min(sampled, key=lambda architecture: len(architecture.specs))
    network = build_network(architecture).eval()
    program = ExecuTorchProgram(export_executorch(network, (torch.zeros(1, *architecture.input_shape),)))
    for _ in range(3):
        x = torch.randn(1, *architecture.input_shape)
        with torch.no_grad():
            assert difference(network(x), program(x)) < 1e-4


@needs_executorch
def test_a_decoding_step_has_integers_and_several_inputs_and_outputs() -> None:
    module = DecodeStep().eval()
    state = torch.zeros(1, 6, 4)
    position = torch.zeros(1, dtype=torch.int64)
    program = ExecuTorchProgram(export_executorch(module, (torch.tensor([3]), state, position)))
    other, count = state, position
    for token in (3, 7, 1):
        with torch.no_grad():
            scores, state, position = module(torch.tensor([token]), state, position)
        got, other, count = program(torch.tensor([token]), other, count)
        assert difference(scores, got) < 1e-5
        assert difference(state, other) < 1e-5
    assert count.tolist() == position.tolist() == [3]
    assert count.dtype == torch.int64
    found = get_runtime("executorch").prepare(module, (torch.tensor([3]), state, position))()
    assert isinstance(found, tuple)
    assert [tensor.shape for tensor in found] == [(1, 5), (1, 6, 4), (1,)]


@needs_executorch
def test_an_output_outlives_its_program_and_the_next_call() -> None:
    module, first, second = Conv().eval(), image(seed=1), image(seed=2)
    program = ExecuTorchProgram(export_executorch(module, (first,)))
    kept = program(first)
    program(second)
    del program
    with torch.no_grad():
        assert difference(module(first), kept) < 1e-5


SWITCH_THREADS = """
import sys, torch
from hardware.runtimes.executorch_program import ExecuTorchProgram
model = open(sys.argv[1], "rb").read()
programs = [ExecuTorchProgram(model, threads) for threads in (1, 2, 3, 1)]
x = torch.linspace(-1, 1, 108).reshape(1, 3, 6, 6)
outputs = [program(x) for _ in range(25) for program in programs]
assert max(float((output - outputs[0]).abs().max()) for output in outputs) < 1e-5
"""


@needs_executorch
def test_programs_with_different_threads_live_side_by_side(tmp_path: Path) -> None:
    """In a process of its own: running a program under another pool than it was loaded with is a crash, not an error."""
    (tmp_path / "model.pte").write_bytes(export_executorch(nn.Sequential(Conv(32), nn.Conv2d(32, 32, 3)), (image(),)))
    subprocess.run([sys.executable, "-c", SWITCH_THREADS, str(tmp_path / "model.pte")], check=True)


@needs_executorch
def test_the_number_of_threads_is_that_of_the_runtime() -> None:
    from executorch.extension.pybindings import _C

    model = export_executorch(Conv(), (image(),))
    for threads in (1, 3, 2):
        get_runtime("executorch", threads=threads).load(model, (image(),))()  # type: ignore[attr-defined]
        assert _C._threadpool_get_thread_count() == threads


@needs_executorch
def test_worker_processes_give_the_same_programs() -> None:
    class Local(nn.Module):  # cannot be sent to another process
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    items = [(f"conv{i}", nn.Conv2d(3, 4 + i, 1), (image(seed=i),)) for i in range(3)]
    items.append(("local", Local(), (image(),)))
    done: list[int] = []
    runners = get_runtime("executorch").prepare_many(items, workers=2, progress=lambda n, total: done.append(n))
    assert list(runners) == [key for key, _, _ in items]
    assert done == [1, 2, 3, 4]
    for key, module, inputs in items:
        with torch.no_grad():
            assert difference(module(*inputs), runners[key]()) < 1e-5  # type: ignore[arg-type]


@needs_executorch
def test_an_export_is_repeatable_and_holds_no_paths(capfd: pytest.CaptureFixture[str]) -> None:
    module = Conv().train()
    model = export_executorch(module, (image(),))
    assert not module.training
    assert model == export_executorch(module, (image().to(memory_format=torch.channels_last),))
    for path in (__file__, torch.__file__.removesuffix("/torch/__init__.py")):
        assert path.encode() not in model
    ExecuTorchProgram(model, threads=2)(image())
    with pytest.raises(HardwareError):
        export_executorch(DependsOnData(), (image(),))
    assert capfd.readouterr() == ("", "")


@needs_executorch
def test_what_was_delegated() -> None:
    model = export_executorch(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), (image(),))
    assert delegation(model) == Delegation(delegates=1, portable={})
    found = delegation(export_executorch(DecodeStep(), (torch.tensor([3]), torch.zeros(1, 6, 4), torch.tensor([0]))))
    assert found.delegates >= 1
    assert found.portable["aten::embedding.out"] == 1


@needs_executorch
def test_what_cannot_be_converted_is_named() -> None:
    with pytest.raises(
        HardwareError, match=r"Inverse cannot be converted .* operator aten\.linalg_inv_ex\.default is not"
    ):
        export_executorch(Inverse(), (torch.eye(3),))
    with pytest.raises(HardwareError, match="DependsOnData cannot be converted to ExecuTorch: Guard"):
        export_executorch(DependsOnData(), (image(),))
    with pytest.raises(HardwareError, match=r"'wrong shape': Linear fails on its inputs: RuntimeError"):
        get_runtime("executorch").prepare_many([("wrong shape", nn.Linear(3, 3), (torch.zeros(4),))])
    runtime = ExecuTorchRuntime()
    with pytest.raises(HardwareError, match="refuses the inputs"):
        runtime.load(export_executorch(Conv(), (image(),)), (torch.zeros(1, 5),))
    with pytest.raises(HardwareError, match="refuses the program"):
        ExecuTorchProgram(b"no program at all")


@needs_executorch
def test_an_operator_without_a_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoKernels:
        @staticmethod
        def _get_operator_names() -> list[str]:
            return []

    monkeypatch.setattr("hardware.runtimes.executorch_export.bindings", lambda: NoKernels)
    with pytest.raises(
        HardwareError, match=r"DecodeStep cannot run in ExecuTorch: no kernel for .*aten::embedding\.out"
    ):
        export_executorch(DecodeStep(), (torch.tensor([3]), torch.zeros(1, 6, 4), torch.tensor([0])))


def test_availability_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = conversion_module._version
    monkeypatch.setattr(conversion_module, "_version", lambda name: None if name == "executorch" else real(name))
    assert ExecuTorchRuntime().availability() == (False, "executorch not installed; pip install executorch")
    with pytest.raises(HardwareError, match=r"'executorch' is not available: .*pip install executorch"):
        export_executorch(Conv(), (image(),))


def test_standard_error_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    with silent_stderr():
        print("chatter", file=sys.stderr)
        os.write(2, b"chatter")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
