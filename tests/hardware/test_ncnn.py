"""ncnn runs what was converted, and what pnnx cannot convert, or converts wrongly, is refused before anything runs."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hardware import HardwareError, get_runtime
from hardware.runtimes import conversion as conversion_module
from hardware.runtimes import ncnn_export
from hardware.runtimes.ncnn import NcnnRuntime
from search_spaces import OperatorSpec, build_network, build_operator, get_space
from search_spaces.operators import get_operator

USABLE, REASON = get_runtime("ncnn").availability()
needs_ncnn = pytest.mark.skipif(not USABLE, reason=REASON)


class Several(nn.Module):
    """Two inputs, two outputs, and nothing that would tell pnnx which axis is the batch."""

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x + y, x * y


class Windows(nn.Module):
    """Five axes besides the batch on the way."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 4, 3, 2, 3, 2).permute(0, 2, 4, 1, 3, 5).softmax(1).reshape(x.shape)


class Largest(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.topk(2, dim=-1).values


def conv() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardswish(), nn.Conv2d(8, 4, 1))


def image(seed: int = 0) -> Tensor:
    return torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(seed))


def check(module: nn.Module, *inputs: Tensor) -> None:
    output = get_runtime("ncnn").prepare(module, inputs)()
    with torch.no_grad():
        expected = module(*inputs)
    for wanted, got in zip(*(v if isinstance(v, tuple) else (v,) for v in (expected, output)), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)


@needs_ncnn
def test_networks_of_a_space_match_eager_torch_or_are_refused_for_a_layer() -> None:
    space = get_space("hybrid-vision/tiny")
    sampled = [space.architecture(row) for row in space.sample(20, np.random.default_rng(0))]
    converted = 0
    for architecture in sorted(sampled, key=lambda architecture: len(architecture.specs))[:4]:
        network = build_network(architecture).eval()
        x = torch.randn(1, *architecture.input_shape)
        [(_, model)] = NcnnRuntime().convert_batch([("network", network, (x,))])
        if isinstance(model, HardwareError):
            assert "no layer for" in str(model)
            continue
        with torch.no_grad():
            np.testing.assert_allclose(NcnnRuntime().load(model, (x,))(), network(x), atol=1e-4)  # type: ignore[arg-type]
        converted += 1
    assert converted


@needs_ncnn
def test_sequences_token_numbers_several_tensors_and_pass_through() -> None:
    sequence = torch.randn(1, 7, 6)
    check(nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3)), sequence)
    check(nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 5)), torch.tensor([[3, 0, 10]]))
    check(Several(), image(0), image(1))
    check(nn.Identity(), image())
    check(nn.Sequential(nn.ReLU(), nn.Linear(6, 3)), image().to(memory_format=torch.channels_last))


@needs_ncnn
def test_calls_repeat_and_outputs_stay_as_they_are() -> None:
    x = image()
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Hardswish())  # ncnn works in place where it can
    with torch.no_grad():
        expected = module(x.clone())
    run = get_runtime("ncnn").prepare(module, (x,))
    first = np.asarray(run())
    for _ in range(3):
        np.testing.assert_allclose(run(), expected, atol=1e-6)  # type: ignore[arg-type]
    other = get_runtime("ncnn").prepare(conv(), (x,))
    del run
    other()
    np.testing.assert_allclose(first, expected, atol=1e-6)
    np.testing.assert_array_equal(x, image())


COUNT_THREADS = """
import sys, psutil, torch
from hardware.runtimes.ncnn import NcnnRuntime
model, x = open(sys.argv[1], "rb").read(), torch.linspace(-1, 1, 4096).reshape(1, 16, 16, 16)
outputs, counts = [], []
for threads in (1, 3):
    outputs.append(torch.tensor(NcnnRuntime(threads=threads).load(model, (x,))()))
    counts.append(psutil.Process().num_threads())
assert counts[1] == counts[0] + 2, counts
torch.testing.assert_close(*outputs)
"""


@needs_ncnn
def test_the_number_of_threads_is_that_of_the_runtime(tmp_path: Path) -> None:
    """In a process of its own: threads that were once made stay."""
    model = NcnnRuntime().convert(nn.Conv2d(16, 64, 3), (torch.randn(1, 16, 16, 16),))
    (tmp_path / "model").write_bytes(model)
    subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, str(tmp_path / "model")],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@needs_ncnn
def test_what_ncnn_has_no_layer_for_is_named() -> None:
    with pytest.raises(HardwareError, match=r"Largest cannot run in ncnn: no layer for torch\.topk"):
        get_runtime("ncnn").prepare(Largest(), (torch.randn(1, 5, 6),))
    with pytest.raises(
        HardwareError, match=r"Windows cannot run in ncnn: no layer for .*: permute \d-rank tensor is not supported"
    ):
        get_runtime("ncnn").prepare(Windows(), (image(),))
    operator = get_operator("sequence_short_conv")
    short_conv = build_operator(
        OperatorSpec.of(
            operator.name, (16, 16), dim=16, **{name: values[0] for name, values in operator.elastic.items()}
        )
    )
    with pytest.raises(HardwareError, match=r"Slice.* along the axis that pnnx takes for the batch"):
        get_runtime("ncnn").prepare(short_conv, (torch.randn(1, 16, 16),))


@needs_ncnn
def test_other_batches_and_types_are_refused() -> None:
    items = [
        ("two", conv(), (torch.zeros(2, 4, 6, 6),)),
        ("half", nn.ReLU(), (torch.zeros(1, 4, dtype=torch.float16),)),
        ("wrong", conv(), (torch.zeros(1, 3, 6, 6),)),
        ("good", conv(), (image(),)),
    ]
    found = dict(get_runtime("ncnn").convert_batch(items))  # type: ignore[attr-defined]
    assert r"must have a batch of 1, got shape (2, 4, 6, 6)" in str(found["two"])
    assert "inputs must be one of float32, int64, int32, got float16" in str(found["half"])
    assert "Sequential fails on its inputs" in str(found["wrong"])
    runtime = NcnnRuntime()
    with pytest.raises(HardwareError, match=r"the shape must be \[1, 4, 6, 6\], got \[1, 4, 6, 7\]"):
        runtime.load(found["good"], (torch.zeros(1, 4, 6, 7),))
    with pytest.raises(HardwareError, match="the model has 1 inputs, 2 were given"):
        runtime.load(found["good"], (image(), image()))
    with pytest.raises(HardwareError, match="no ncnn model of ours"):
        runtime.load(b"no model at all", (image(),))


@needs_ncnn
def test_a_model_that_computes_something_else_is_refused() -> None:
    """The module answers differently from the second call on, so that what is traced is not what was computed."""

    class Changing(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x * self.calls

    with pytest.raises(HardwareError, match=r"Changing is converted wrongly: ncnn's output differs .* by 1\.0e\+00"):
        get_runtime("ncnn").prepare(Changing(), (image(),))


@needs_ncnn
def test_conversion_is_repeatable_silent_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    module = conv().train()
    model = NcnnRuntime().convert(module, (image(),))
    assert not module.training
    assert model == NcnnRuntime().convert(module, (image(),))
    NcnnRuntime().load(model, (image(),))()
    with pytest.raises(HardwareError):
        NcnnRuntime().convert(Windows(), (image(),))
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
    assert capfd.readouterr() == ("", "")
    for path in (str(tmp_path), torch.__file__.removesuffix("/torch/__init__.py")):
        assert path.encode() not in model


def test_availability_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = conversion_module._version
    monkeypatch.setattr(conversion_module, "_version", lambda name: None if name == "pnnx" else real(name))
    usable, reason = NcnnRuntime().availability()
    assert not usable
    assert "pnnx not installed" in reason
    assert "pip install" in reason
    with pytest.raises(HardwareError, match=r"'ncnn' is not available: .*pnnx"):
        ncnn_export.export_ncnn(conv(), (image(),))
