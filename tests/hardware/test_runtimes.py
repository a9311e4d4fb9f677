"""Every registered runtime runs and matches eager torch, or says why it cannot be used here."""

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from hardware import HardwareError, MeasureSettings, export_onnx, get_runtime, measure, register_runtime, runtime_names
from hardware.errors import RefusedError
from hardware.runtimes import ConversionCache, Runtime, export_onnx_many
from hardware.runtimes.base import Runner
from tests.hardware.modules import Attention, image


class Add(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x + y, x * y


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ones(2)


def conv(dim: int = 8) -> nn.Module:
    return nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1), nn.BatchNorm2d(dim), nn.Hardswish())


def expected(module: nn.Module, *inputs: Tensor) -> np.ndarray:
    with torch.no_grad():
        return module.eval()(*inputs).numpy()


@pytest.mark.parametrize("name", runtime_names())
def test_a_runtime_matches_eager_torch_or_says_why_not(name: str) -> None:
    runtime = get_runtime(name)
    usable, reason = runtime.availability()
    assert reason
    x = image(8)
    if not usable:
        with pytest.raises(HardwareError, match=f"'{name}' is not available"):
            runtime.prepare(conv(), (x,))
        pytest.skip(reason)
    assert runtime.describe()["versions"]
    threads = torch.get_num_threads()
    both = nn.Sequential(conv(), Attention())
    items = [("network", both, (x.to(memory_format=torch.channels_last),)), ("identity", nn.Identity(), (x,))]
    progress: list[tuple[int, int]] = []
    runners = runtime.prepare_many([*items, items[0]], progress=lambda done, total: progress.append((done, total)))
    assert list(runners) == ["network", "identity"]
    assert progress == [(1, 2), (2, 2)]
    for key, module, inputs in items:
        assert not module.training
        output = torch.as_tensor(runners[key]()).cpu().numpy()
        np.testing.assert_allclose(output, expected(module, *inputs), atol=1e-4)
    assert torch.get_num_threads() == threads
    assert all(m.median_ms > 0 for m in measure(runners, settings=MeasureSettings.quick()))


def test_two_threads_give_the_same_answer() -> None:
    module, x = conv(), image(8)
    for name in ("torch", "onnxruntime"):
        output = torch.as_tensor(get_runtime(name, threads=2).prepare(module, (x,))())
        np.testing.assert_allclose(output.numpy(), expected(module, x), atol=1e-4)


def test_several_inputs_and_outputs() -> None:
    x, y = image(8), image(8) + 1
    total, product = get_runtime("onnxruntime").prepare(Add(), (x, y))()  # type: ignore[misc]
    np.testing.assert_allclose(total, x + y)
    np.testing.assert_allclose(product, x * y)


def test_worker_processes_give_the_same_models() -> None:
    class Local(nn.Module):  # cannot be sent to another process
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    items = [(f"conv{i}", conv(4 + i % 3), (image(4 + i % 3),)) for i in range(18)]
    items.append(("local", Local(), (image(8),)))
    runners = get_runtime("onnxruntime").prepare_many(items, workers=2)
    assert list(runners) == [key for key, _, _ in items]
    for key, module, inputs in items:
        np.testing.assert_allclose(runners[key](), expected(module, *inputs), atol=1e-4)  # type: ignore[arg-type]


def test_an_export_is_self_contained_and_repeatable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module, x = Attention().train(), image(8)
    with caplog.at_level(logging.WARNING):
        data = export_onnx(module, (x,), tmp_path / "new" / "model.onnx")
    assert caplog.records == []
    assert not module.training
    assert (tmp_path / "new" / "model.onnx").read_bytes() == data == export_onnx(module, (x,))
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert [i.name for i in model.graph.input] == ["input"]
    assert [o.name for o in model.graph.output] == ["output"]
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 8, 6, 6]
    assert "qkv.weight" in {w.name for w in model.graph.initializer}
    assert __file__.encode() not in data
    assert str(Path(torch.__file__).parent).encode() not in data


def test_side_by_side_equals_one_by_one() -> None:
    x, shared = image(8), conv()
    norms = nn.Sequential(nn.GroupNorm(1, 8), nn.GroupNorm(2, 8))  # weights of ones, which the exporter merges
    mixed = nn.Sequential(nn.GroupNorm(1, 8), conv())
    modules = [(module, (x,)) for module in (shared, Attention(), conv(), shared, norms, mixed)]
    for (module, _), together in zip(modules, export_onnx_many(modules), strict=True):
        session = ort.InferenceSession(together, providers=["CPUExecutionProvider"])
        (output,) = session.run(None, {"input": x.numpy()})
        np.testing.assert_allclose(output, expected(module, x), atol=1e-4)
        assert not any(name.startswith("part") for name in weight_names(together))
    for module, inputs in modules[-2:]:  # with weights that are merged, one by one
        assert not any(name.startswith("part") for name in weight_names(export_onnx(module, inputs)))


def weight_names(model: bytes) -> set[str]:
    return {weight.name for weight in onnx.load_from_string(model).graph.initializer}


def test_one_tensor_given_twice_stays_two_inputs() -> None:
    x = image(8)
    model = onnx.load_from_string(export_onnx(Add(), (x, x)))
    assert [i.name for i in model.graph.input] == ["input_0", "input_1"]
    assert [o.name for o in model.graph.output] == ["output_0", "output_1"]


def test_what_cannot_be_exported_is_named() -> None:
    with pytest.raises(HardwareError, match=r"Constant: 'input' does not reach the output"):
        export_onnx(Constant(), (image(8),))
    items = [("good", conv(), (image(8),)), ("wrong shape", conv(5), (image(8),))]
    with pytest.raises(HardwareError, match=r"'wrong shape': Sequential fails on its inputs"):
        get_runtime("onnxruntime").prepare_many(items)


def test_the_registry_refuses_what_it_does_not_know_and_silent_overwrites() -> None:
    with pytest.raises(HardwareError, match=f"runtime must be one of {', '.join(runtime_names())}, got 'tvm'"):
        get_runtime("tvm")
    with pytest.raises(HardwareError, match="precision must be one of fp32, bf16, got 'fp4'"):
        get_runtime("torch", precision="fp4")
    with pytest.raises(HardwareError, match="threads must be at least 1, got 0"):
        get_runtime("torch", threads=0)

    class Impostor(Runtime):
        name = "torch"

        def availability(self) -> tuple[bool, str]:
            return True, "0"

        def versions(self) -> dict[str, str]:
            return {}

        def prepare(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Runner:
            return module.eval

    with pytest.raises(HardwareError, match="'torch' is already registered by TorchRuntime"):
        register_runtime(Impostor)
    assert type(get_runtime("torch")) is not Impostor


def test_the_cache_gives_back_what_was_converted_and_knows_when_to_convert_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, cache = get_runtime("onnxruntime"), ConversionCache(tmp_path)
    x = torch.randn(1, 3)
    module = nn.Linear(3, 2)
    first = runtime.prepare_many([("a", module, (x,))], cache=cache)["a"]()
    assert len(list(tmp_path.iterdir())) == 1

    def never(*args: object, **kwargs: object) -> object:
        raise AssertionError("converted again")

    monkeypatch.setattr(type(runtime), "convert_batch", never)
    again = runtime.prepare_many([("b", module, (x,))], cache=cache)["b"]()  # the key does not matter
    assert np.array_equal(np.asarray(first), np.asarray(again))
    for other in ((nn.Linear(3, 2, bias=False), (x,)), (module, (torch.randn(2, 3),)), (nn.Linear(3, 4), (x,))):
        with pytest.raises(AssertionError, match="converted again"):
            runtime.prepare_many([("c", *other)], cache=cache)


def test_everything_that_is_refused_is_named_with_its_reason() -> None:
    bad = [(f"bad {i}", nn.Linear(3, 3), (torch.zeros(4),)) for i in (1, 2)]
    items = [("good", nn.Linear(3, 3), (torch.zeros(1, 3),)), *bad]
    with pytest.raises(
        RefusedError, match=r"refuses 2 of 3: 'bad 1': Linear fails on its inputs.*and 1 more"
    ) as caught:
        get_runtime("onnxruntime").prepare_many(items)
    assert set(caught.value.reasons) == {"bad 1", "bad 2"}
