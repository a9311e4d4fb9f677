"""Runtimes of the GPU: what can be checked without one, and, where there is one, what they compute and refuse."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from hardware import HardwareError, MeasureSettings, conditions, get_runtime, measure, runtime_names
from hardware.runtimes.cuda_compile import compiled, many_versions
from hardware.runtimes.cuda_timing import CudaRunner, exact_arithmetic
from hardware.runtimes.precision import in_precision

NAMES = ("cuda", "cuda-compile", "cuda-compile-graph", "cuda-graph")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def conv() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.Hardswish(), nn.Conv2d(16, 8, 1))


def image() -> Tensor:
    return torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Waits(nn.Module):
    """Its result depends on a value that only the GPU knows."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.sum().item()


class Buffers(nn.Module):
    """A floating, an integer and a complex buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4))
        self.register_buffer("order", torch.tensor([3, 1, 0, 2]))
        self.register_buffer("phase", torch.polar(torch.ones(4), torch.arange(4.0)))

    def forward(self, x: Tensor) -> Tensor:
        return x[self.order] * self.weight


@contextmanager
def settings_kept() -> Iterator[None]:
    """Fail when torch's global settings are not what they were."""

    def settings() -> tuple[object, ...]:
        cudnn = torch.backends.cudnn
        return (torch.get_float32_matmul_precision(), cudnn.enabled, cudnn.benchmark, cudnn.allow_tf32)

    before = settings()
    yield
    assert settings() == before


def test_they_are_registered_with_their_precisions_or_refused_by_name() -> None:
    assert {name for name in runtime_names() if name.startswith("cuda")} == set(NAMES)
    for name in NAMES:
        for precision in ("fp32", "bf16", "fp16"):
            assert get_runtime(name, precision).describe()["precision"] == precision
        with pytest.raises(HardwareError, match=f"runtime '{name}': precision must be one of fp32, bf16, fp16"):
            get_runtime(name, "int8")


def test_the_options_tell_them_apart() -> None:
    options = {name: get_runtime(name).options() for name in NAMES}
    assert {name for name in NAMES if options[name]["cuda_graph"]} == {"cuda-graph", "cuda-compile-graph"}
    assert {name for name in NAMES if options[name]["compiled"]} == {"cuda-compile", "cuda-compile-graph"}
    assert not any(options[name]["tf32"] for name in NAMES)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_without_a_gpu_the_reason_is_told(name: str) -> None:
    runtime = get_runtime(name)
    usable, reason = runtime.availability()
    assert not usable
    assert "CUDA" in reason
    for call in (runtime.prepare, runtime.memory_bytes):
        with pytest.raises(HardwareError, match=f"runtime '{name}' is not available: .*CUDA"):
            call(conv(), (image(),))


@pytest.mark.parametrize(("precision", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_only_floating_numbers_are_cast_and_only_in_a_copy(precision: str, kind: torch.dtype) -> None:
    module, x, token = Buffers().train(), torch.randn(4), torch.tensor([1])
    moved, inputs = in_precision(module, (x, token), precision)
    assert {name: tensor.dtype for name, tensor in moved.state_dict().items()} == {
        "weight": kind,
        "order": torch.int64,
        "phase": torch.complex64,
    }
    assert [tensor.dtype for tensor in inputs] == [kind, torch.int64]
    assert not moved.training
    assert (module.weight.dtype, x.dtype) == (torch.float32, torch.float32)
    with torch.no_grad():
        assert torch.allclose(moved(inputs[0]).float(), module(x), atol=0.05)
    in_precision(module, (x,), "fp32")[0].state_dict()["weight"].zero_()
    assert module.weight.abs().sum() > 0


def test_settings_hold_inside_and_come_back_also_after_an_error() -> None:
    def fails() -> None:
        assert torch.is_inference_mode_enabled()
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.benchmark
        raise RuntimeError("inside")

    with settings_kept(), pytest.raises(RuntimeError, match="inside"), exact_arithmetic():
        fails()
    assert not torch.is_inference_mode_enabled()


class Scaled(nn.Module):
    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def test_any_number_of_modules_of_one_class_can_be_compiled() -> None:
    """More of them than torch allows versions of one code, of one module (8) and of all (here 10) together."""
    x = torch.ones(2)
    modules = [Scaled(factor) for factor in range(1, 13)]
    functions = [compiled(module, backend="eager") for module in modules]
    with torch._dynamo.config.patch(accumulated_recompile_limit=10), exact_arithmetic():
        with many_versions():
            for function in functions:
                function(x)
        for module, function in zip(modules, functions, strict=True):
            assert torch.equal(function(x), module(x))  # type: ignore[arg-type]
    torch.compiler.reset()


def test_the_state_of_the_gpu_is_recorded_where_there_is_one() -> None:
    state = conditions()["gpu"]
    if not torch.cuda.is_available():
        assert state is None
        return
    assert set(state) == {"sm_mhz", "memory_mhz", "temperature_c", "power_mw", "clock_reasons"}


@needs_cuda
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("precision", "kind", "near"),
    [
        ("fp32", torch.float32, 1e-5),
        ("bf16", torch.bfloat16, 5e-2),
        ("fp16", torch.float16, 5e-3),
    ],
)
def test_a_runtime_matches_the_cpu_in_every_precision(
    name: str, precision: str, kind: torch.dtype, near: float
) -> None:
    runtime = get_runtime(name, precision)
    usable, reason = runtime.availability()
    if not usable:
        pytest.skip(reason)
    module, x = conv().eval(), image()
    with torch.no_grad():
        expected = module(x)
    with settings_kept():
        runner = runtime.prepare(module, (x,))
        for _ in range(3):
            output = runner()
            assert isinstance(output, Tensor)
            assert (output.device.type, output.dtype) == ("cuda", kind)
            assert float((output.float().cpu() - expected).abs().max()) < near * float(expected.abs().max())
        assert isinstance(runner, CudaRunner)
        assert 0 < runner.elapsed(10) < runner.elapsed(1000)
        (measured,) = measure({"conv": runner}, settings=MeasureSettings.quick())
    assert measured.median_ms > 0
    assert measured.calls_per_sample >= CudaRunner.minimum_calls
    assert next(module.parameters()).device.type == "cpu"


@needs_cuda
def test_many_graphs_live_side_by_side() -> None:
    x = image()
    modules = {str(i): conv().eval() for i in range(20)}
    runners = get_runtime("cuda-graph").prepare_many((key, module, (x,)) for key, module in modules.items())
    for _ in range(2):
        for key, module in modules.items():
            with torch.no_grad():
                assert torch.allclose(torch.as_tensor(runners[key]()).cpu(), module(x), atol=1e-4)


@needs_cuda
def test_a_module_that_waits_for_the_gpu_cannot_be_captured_and_the_next_one_can() -> None:
    runtime = get_runtime("cuda-graph")
    with pytest.raises(HardwareError, match="Waits cannot be captured as a CUDA graph"):
        runtime.prepare(Waits(), (image(),))
    assert runtime.prepare(conv(), (image(),))() is not None


@needs_cuda
@pytest.mark.parametrize("name", NAMES)
def test_a_module_that_fails_is_named(name: str) -> None:
    if not get_runtime(name).availability()[0]:
        pytest.skip(get_runtime(name).availability()[1])
    with pytest.raises(HardwareError, match=f"Linear cannot run by '{name}' in fp32"):
        get_runtime(name).prepare(nn.Linear(3, 3), (torch.zeros(4),))


@needs_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda-graph"])
def test_memory_is_that_of_the_activations_alone(name: str) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1 << 24))

        def forward(self, x: Tensor) -> Tensor:
            return (x + 1) * 2  # the sum and the product live at once

    size = 1 << 20
    for precision, width in (("fp32", 4), ("fp16", 2)):
        least = 2 * width * size
        found = get_runtime(name, precision).memory_bytes(Twice(), (torch.zeros(size),))
        assert found is not None
        assert least <= found < 1.5 * least  # the allocator rounds up; a parameter or input would be far more
