"""Ahead-of-time compiled models: two of them serve all tests, since each takes ten seconds of processor time."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hardware import HardwareError, get_runtime
from hardware.runtimes import ConversionCache
from hardware.runtimes.torch_compile import TorchCompileRuntime
from tests.hardware.modules import DependsOnData, image

USABLE, REASON = get_runtime("torch-compile").availability()
needs_compiler = pytest.mark.skipif(not USABLE, reason=REASON)


class DecodeStep(nn.Module):
    """Token numbers and a state in, scores and the next state out; enough of it for two threads."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 64)

    def forward(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = torch.tanh(0.5 * state + self.embed(token).unsqueeze(-1))
        return state.mean(-1), state


def conv() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.Flatten(), nn.Linear(128, 5))
    module(torch.randn(16, 3, 6, 6))  # statistics of the batch norm that are not those of a new one
    return module


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ConversionCache:
    return ConversionCache(tmp_path_factory.mktemp("models"))


@needs_compiler
def test_a_compiled_module_matches_eager_torch_and_is_compiled_once(
    cache: ConversionCache, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    module, x, threads = conv(), image(), torch.get_num_threads()
    assert module.training
    runtime = get_runtime("torch-compile")
    first = torch.as_tensor(runtime.prepare_many([("a", module, (x,))], cache=cache)["a"]())
    assert not module.training
    with torch.no_grad():
        expected = module(x)
    assert torch.allclose(first, expected, atol=1e-5)
    assert not first.requires_grad
    assert torch.get_num_threads() == threads
    assert capfd.readouterr() == ("", "")

    def never(*args: object, **kwargs: object) -> object:
        raise AssertionError("compiled again")

    monkeypatch.setattr(TorchCompileRuntime, "convert_batch", never)
    strided = x.to(memory_format=torch.channels_last)  # the compiled code does not look at strides
    again = runtime.prepare_many([("b", module, (strided,))], cache=cache)["b"]
    assert torch.equal(torch.as_tensor(again()), first)
    assert torch.equal(torch.as_tensor(again()), first)  # inputs are not used up
    with pytest.raises(AssertionError, match="compiled again"):  # the number of threads is compiled in
        get_runtime("torch-compile", threads=2).prepare_many([("c", module, (x,))], cache=cache)


THREADS = """
import os, sys
import torch
from hardware.runtimes.torch_compile import TorchCompileRuntime

torch.set_num_threads(1)
inputs = (torch.tensor([3]), torch.linspace(-1, 1, 64 * 4096).reshape(1, 64, 4096))
model = open(sys.argv[1], "rb").read()
counts = [len(os.listdir("/proc/self/task"))]
run = TorchCompileRuntime("bf16", threads=2).load(model, inputs)
counts.append(len(os.listdir("/proc/self/task")))
run()
assert torch.get_num_threads() == 1
libraries = {line.split()[-1] for line in open("/proc/self/maps") if "libgomp" in line}
print(counts[1] - counts[0], len(libraries))
"""


@needs_compiler
def test_a_model_of_two_threads_in_bf16(tmp_path: Path) -> None:
    module = DecodeStep().eval()
    token, state = torch.tensor([3]), torch.linspace(-1, 1, 64 * 4096).reshape(1, 64, 4096)
    runtime = TorchCompileRuntime("bf16", threads=2)
    model = runtime.convert(module, (token, state))
    scores, after = runtime.load(model, (token, state))()  # type: ignore[misc]
    with torch.no_grad():
        expected = module(token, state)
    assert scores.dtype == after.dtype == torch.bfloat16
    for found, exact in zip((scores, after), expected, strict=True):
        assert found.shape == exact.shape
        assert float((found.float() - exact).abs().max()) < 0.01
    assert module.embed.weight.dtype == torch.float32
    if not sys.platform.startswith("linux"):
        return
    # A process of its own, in which no other work has started threads: one more, and in the pool that torch itself uses.
    (tmp_path / "model.pt2").write_bytes(model)
    command = [sys.executable, "-c", THREADS, str(tmp_path / "model.pt2")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.split() == ["1", "1"]


@needs_compiler
def test_what_cannot_be_compiled_is_named() -> None:
    runtime = get_runtime("torch-compile")
    with pytest.raises(HardwareError, match="DependsOnData cannot be compiled by TorchInductor: Guard"):
        runtime.prepare(DependsOnData(), (image(),))
    with pytest.raises(HardwareError, match="Linear fails on its inputs: RuntimeError"):
        runtime.prepare(nn.Linear(3, 3), (torch.zeros(4),))
    with pytest.raises(HardwareError, match="AOTInductor refuses the model"):
        TorchCompileRuntime().load(b"no model at all", (image(),))


def test_worker_processes_compile_for_the_same_threads() -> None:
    runtime = TorchCompileRuntime("bf16", threads=3)
    there = pickle.loads(pickle.dumps(runtime.convert_batch)).__self__  # what is sent to a worker
    assert there.describe() == runtime.describe()


def test_without_a_compiler_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    runtime = get_runtime("torch-compile")
    assert runtime.availability() == (False, "no C++ compiler (no-such-compiler) found; apt install g++")
    with pytest.raises(HardwareError, match="'torch-compile' is not available: no C"):
        runtime.prepare(conv(), (image(),))


def test_eager_torch_in_bf16_and_its_profile() -> None:
    module, x = conv().eval(), image()
    with torch.no_grad():
        expected = module(x)
    output = get_runtime("torch", "bf16").prepare(module, (x,))()
    assert isinstance(output, Tensor)
    assert output.dtype == torch.bfloat16
    assert float((output.float() - expected).abs().max()) < 0.05 * float(expected.abs().max())
    with pytest.raises(HardwareError, match="fails on its inputs"):
        get_runtime("torch", "bf16").prepare(nn.Linear(3, 3), (torch.zeros(4),))
    rows = get_runtime("torch").profile(module, (x,), runs=5)
    assert {"addmm", "native_batch_norm", "silu"} <= {row.kind for row in rows}
    (linear,) = [row for row in rows if row.kind == "addmm"]
    assert linear.name == "aten::addmm 5 1x128 128x5"
    assert [row.ms for row in rows] == sorted((row.ms for row in rows), reverse=True)
    assert rows[-1].ms > 0
