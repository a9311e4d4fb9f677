"""Int8: fewer bits where there is something to quantise, a small but real error, and no module that fails for having none."""

import logging

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from hardware import HardwareError, get_runtime
from hardware.runtimes.calibration import calibration_inputs
from hardware.runtimes.conversion import ConvertingRuntime
from hardware.runtimes.onnx_quantize import quantize_onnx

RUNTIMES = ("executorch", "onnxruntime", "openvino")


class Mixed(nn.Module):
    """A convolution with a normalisation, and attention: weights, and products of activations."""

    def __init__(self, dim: int = 96) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1), nn.BatchNorm2d(dim), nn.Hardswish())
        self.qkv = nn.Conv2d(dim, 3 * dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        q, k, v = self.qkv(x).flatten(2).chunk(3, dim=1)
        weights = (q.transpose(1, 2) @ k * q.shape[1] ** -0.5).softmax(-1)
        return x + (v @ weights.transpose(1, 2)).reshape(x.shape)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.out = nn.Linear(16, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(self.embed(tokens))


def runtime(name: str, precision: str = "int8") -> ConvertingRuntime:
    found = get_runtime(name, precision)
    usable, reason = found.availability()
    if not usable:
        pytest.skip(reason)
    assert isinstance(found, ConvertingRuntime)
    return found


def image() -> Tensor:
    return torch.randn(1, 96, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_quantised_module_is_smaller_and_a_little_wrong(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    cases: list[tuple[str, nn.Module, tuple[Tensor, ...]]] = [("mixed", Mixed(), (image(),))]
    cases += [("tokens", Tokens(), (torch.tensor([[3, 0, 10]]),))]
    found = runtime(name)
    capfd.readouterr()
    converted = dict(found.convert_batch(cases))
    for key, module, inputs in cases:
        model = converted[key]
        assert isinstance(model, bytes)
        with torch.no_grad():
            expected = module.eval()(*inputs)
        got = torch.as_tensor(found.load(model, inputs)())
        assert got.dtype == torch.float32
        error = float((got - expected).abs().max() / expected.abs().max())
        assert 1e-4 < error < 0.1  # eight bits: far from fp32's 1e-7, and not nonsense
    assert len(converted["mixed"]) < sum(4 * p.numel() for p in cases[0][1].parameters()) / 2  # type: ignore[arg-type]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", RUNTIMES)
def test_large_products_are_not_cut_off(name: str) -> None:
    """CPUs without VNNI add two products of 8 bits in 16: weights of eight bits overflow where all are large."""
    module = nn.Sequential(nn.Conv2d(64, 16, 1, bias=False), nn.Conv2d(16, 8, 1))
    torch.manual_seed(1)
    with torch.no_grad():
        signs = torch.sign(torch.randn(16, 1, 1, 1))
        module[0].weight.copy_(signs.expand(16, 64, 1, 1) * 0.25)  # type: ignore[operator]
    x = torch.full((1, 64, 4, 4), 3.0) - 0.1 * torch.rand(1, 64, 4, 4)
    found = runtime(name)
    with torch.no_grad():
        expected = module.eval()(x)
    got = torch.as_tensor(found.load(found.convert(module, (x,)), (x,))())
    assert float((got - expected).abs().max() / expected.abs().max()) < 0.05


@pytest.mark.parametrize("name", RUNTIMES)
def test_what_has_nothing_to_quantise_stays_exact(name: str) -> None:
    x = image()
    modules = {"identity": nn.Identity(), "pool": nn.MaxPool2d(2)}
    for key, run in runtime(name).prepare_many((key, module, (x,)) for key, module in modules.items()).items():
        np.testing.assert_array_equal(torch.as_tensor(run()), modules[key](x))


def test_calibration_inputs_are_like_the_given_ones() -> None:
    given = (3 + 2 * torch.randn(1, 8, 16, 16), torch.tensor([[4, 9, 9]]), torch.tensor([True]), torch.zeros(2, 3))
    samples = calibration_inputs(given, samples=4)
    assert len(samples) == 4
    for image, tokens, mask, state in samples:
        assert [x.shape for x in (image, tokens, mask, state)] == [x.shape for x in given]
        assert [x.dtype for x in (image, tokens, mask, state)] == [x.dtype for x in given]
        assert abs(float(image.mean()) - float(given[0].mean())) < 0.2
        assert abs(float(image.std()) / float(given[0].std()) - 1) < 0.1
        assert set(tokens.flatten().tolist()) <= {4, 9}
        assert bool(mask)
        assert torch.equal(state, given[3])  # no spread: the values themselves
    assert not torch.equal(samples[0][0], samples[1][0])
    for one, other in zip(samples, calibration_inputs(given, samples=4), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(samples[0][0], calibration_inputs(given, seed=1)[0][0])


def test_onnx_quantisation_is_repeatable_and_leaves_the_loggers_alone() -> None:
    runtime("onnxruntime")
    from hardware.runtimes import export_onnx

    x, root = image(), logging.getLogger()
    before = (list(root.handlers), root.level)
    module = Mixed().eval()
    first, second = (quantize_onnx(export_onnx(module, (x,)), (x,)) for _ in range(2))
    assert first == second
    assert (root.handlers, root.level) == before
    nodes = onnx.load_from_string(first).graph.node
    assert "BatchNormalization" not in {node.op_type for node in nodes}
    assert any(node.op_type == "QuantizeLinear" for node in nodes)
    weights = onnx.load_from_string(first).graph.initializer
    # the convolutions' scales: one an output channel
    assert {96, 288} <= {weight.dims[0] for weight in weights if weight.name.endswith("scale") and weight.dims}


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_failing_module_is_refused_like_in_fp32(name: str) -> None:
    with pytest.raises(HardwareError, match="'bad': Linear fails on its inputs"):
        runtime(name).prepare_many([("bad", nn.Linear(3, 3), (torch.zeros(4),))])
