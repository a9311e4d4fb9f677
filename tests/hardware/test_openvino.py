"""OpenVINO runs in the precision that was asked for, with the threads that were asked for, and reports to nobody."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hardware import HardwareError, get_runtime
from hardware.runtimes.openvino import OpenVinoRuntime
from tests.hardware.modules import DecodeStep, image

USABLE, REASON = get_runtime("openvino").availability()
pytestmark = pytest.mark.skipif(not USABLE, reason=REASON)


def conv() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.Hardswish(), nn.Conv2d(64, 8, 1)
    ).eval()


def test_fp32_is_fp32_and_bf16_is_not() -> None:
    """By itself OpenVINO computes fp32 models in bf16, with an error of about 2^-8, wherever the CPU can."""
    module, x = conv(), image(32, 12)
    model = OpenVinoRuntime().convert(module, (x,))
    with torch.no_grad():
        expected = module.double()(x.double())

    def error(precision: str) -> float:
        got = torch.as_tensor(OpenVinoRuntime(precision).load(model, (x,))())
        return float((got.double() - expected).abs().max() / expected.abs().max())

    assert error("fp32") < 1e-5
    usable, reason = get_runtime("openvino", "bf16").availability()
    if not usable:
        assert "no bfloat16" in reason
        pytest.skip(reason)
    assert 1e-4 < error("bf16") < 3e-2


def test_several_inputs_and_outputs_of_several_types() -> None:
    module = DecodeStep().eval()
    inputs = (torch.tensor([3]), torch.ones(1, 6, 4), torch.tensor([7]))
    runner = get_runtime("openvino").prepare(module, inputs)
    with torch.no_grad():
        expected = module(*inputs)
    for _ in range(2):  # the second call writes the same buffers
        got = runner()
        assert isinstance(got, tuple)
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert got[2].dtype == np.int64


def test_the_compiled_model_has_the_threads_and_precision_asked_for() -> None:
    for precision, threads, kind in (("fp32", 1, "f32"), ("fp32", 2, "f32"), ("bf16", 1, "bf16")):
        runtime = OpenVinoRuntime(precision, threads)
        if not runtime.availability()[0]:
            continue
        compiled = runtime._compile(runtime.convert(nn.ReLU(), (torch.ones(2),)))
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == kind
        assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_a_run_leaves_the_cores_of_the_process_alone() -> None:
    runner = get_runtime("openvino", threads=2).prepare(conv(), (image(32, 12),))
    before = os.sched_getaffinity(0)
    runner()
    assert os.sched_getaffinity(0) == before


def test_what_it_refuses_is_named() -> None:
    runtime = OpenVinoRuntime()
    model = runtime.convert(conv(), (image(32, 12),))
    with pytest.raises(HardwareError, match=r"OpenVINO refuses the inputs: .*shape"):
        runtime.load(model, (torch.zeros(1, 32, 5, 5),))
    with pytest.raises(HardwareError, match="the model has 1 inputs, 2 were given"):
        runtime.load(model, (image(32, 12), image(32, 12)))
    with pytest.raises(HardwareError, match="OpenVINO refuses the model: "):
        runtime.load(b"no model at all", (image(32, 12),))
    unknown = model.replace(b"HardSwish", b"HardSwosh")
    assert unknown != model
    with pytest.raises(HardwareError, match=r"OpenVINO refuses the model: .*HardSwosh"):
        runtime.load(unknown, (image(32, 12),))


SILENT = """
import sys
from hardware.runtimes.openvino_package import nncf, openvino
openvino(), nncf()
import openvino_telemetry
from openvino.tools.ovc import telemetry_utils
from nncf.telemetry import wrapper
from tests.hardware.modules import DecodeStep, image
assert "stub" in telemetry_utils.tm.__name__, telemetry_utils.tm
assert not isinstance(wrapper.telemetry, wrapper.NNCFTelemetry)
"""


def test_nothing_is_reported_to_anybody(tmp_path: Path) -> None:
    """Importing OpenVINO in the plain way sends an event and writes files into the home folder."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    for name in ("CI", "NNCF_CI", "PYTEST_CURRENT_TEST"):
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", SILENT], check=True, env=environment)
    assert list(tmp_path.rglob("*telemetry*")) == []
    assert not (tmp_path / "intel").exists()
