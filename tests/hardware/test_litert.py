"""LiteRT runs what its converter made in an environment of its own, and says what either of them refuses."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor, nn

from hardware import HardwareError, get_runtime
from hardware.runtimes import litert_convert, litert_environment
from hardware.runtimes.litert import LiteRtRuntime
from hardware.runtimes.litert_environment import converter_folder, converter_problem, converter_python
from tests.hardware.modules import Attention, DependsOnData

CONVERTER = converter_folder()  # the user's own, while the tests have a cache folder that begins empty
USABLE, REASON = get_runtime("litert").availability()
needs_litert = pytest.mark.skipif(not USABLE, reason=REASON)


class DecodeStep(nn.Module):
    """One token of a recurrence: eleven inputs, so that their numbers have two digits, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.out = nn.Linear(6, 5)

    def forward(self, token: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        total = self.embed(token) + sum((i + 1) * state for i, state in enumerate(states))
        return self.out(total), total


class Inverse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.eigvals(x).real


def image(seed: int = 0) -> Tensor:
    return torch.randn(1, 8, 6, 6, generator=torch.Generator().manual_seed(seed))


def expected(module: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        output = module.eval()(*inputs)
    return output if isinstance(output, tuple) else (output,)


@pytest.fixture(scope="module", autouse=True)
def _converter() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE", str(CONVERTER.parent))
        yield


@pytest.fixture(scope="module")
def converted(_converter: None) -> dict[str, tuple[nn.Module, tuple[Tensor, ...], bytes | HardwareError]]:
    """What the tests look at, in one call of the converter: it takes seconds to start."""
    states = tuple(torch.randn(1, 6) for _ in range(10))
    items: list[tuple[str, nn.Module, tuple[Tensor, ...]]] = [
        ("attention", Attention(kernel=3).train(), (image().to(memory_format=torch.channels_last),)),
        ("decode", DecodeStep(), (torch.tensor([3]), *states)),
        ("unknown", Inverse(), (torch.randn(1, 3, 3),)),
        ("data", DependsOnData(), (image(),)),
        ("wrong shape", nn.Linear(3, 3), (torch.zeros(4),)),
    ]
    found = LiteRtRuntime().convert_batch(items)
    assert [key for key, _ in found] == [key for key, _, _ in items]
    return {key: (module, inputs, model) for (key, module, inputs), (_, model) in zip(items, found, strict=True)}


@needs_litert
@pytest.mark.parametrize("name", ["attention", "decode"])
def test_a_model_matches_eager_torch_call_after_call(name: str, converted: dict) -> None:
    module, inputs, model = converted[name]
    assert not module.training
    run = LiteRtRuntime().load(model, inputs)
    outputs = [run() for _ in range(3)]
    del run
    for output in outputs:
        found = output if isinstance(output, tuple) else (output,)
        for wanted, got in zip(expected(module, *inputs), found, strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-5)


@needs_litert
def test_threads_are_those_of_the_runtime_and_do_not_change_the_answer(converted: dict) -> None:
    module, inputs, model = converted["attention"]
    before = psutil.Process().num_threads()
    alone = LiteRtRuntime(threads=1).load(model, inputs)
    alone()
    assert psutil.Process().num_threads() == before
    together = LiteRtRuntime(threads=3).load(model, inputs)
    np.testing.assert_allclose(together(), expected(module, *inputs)[0], atol=1e-5)  # type: ignore[arg-type]
    assert psutil.Process().num_threads() == before + 2


@needs_litert
def test_what_is_refused_is_named(converted: dict) -> None:
    reasons = {key: str(converted[key][2]) for key in ("unknown", "data", "wrong shape")}
    assert "Inverse cannot be converted to LiteRT" in reasons["unknown"]
    assert "aten.linalg_eig" in reasons["unknown"]
    assert "DependsOnData cannot be exported: Guard" in reasons["data"]
    assert "Linear fails on its inputs: RuntimeError" in reasons["wrong shape"]
    _, inputs, model = converted["attention"]
    with pytest.raises(HardwareError, match="refuses the inputs"):
        LiteRtRuntime().load(model, (torch.zeros(1, 5),))
    with pytest.raises(HardwareError, match="the model has 1 inputs, 2 were given"):
        LiteRtRuntime().load(model, (*inputs, *inputs))
    with pytest.raises(HardwareError, match="refuses the model"):
        LiteRtRuntime().load(b"no model at all", inputs)


@needs_litert
def test_int8_is_near_smaller_silent_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    module, x = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)), torch.randn(1, 9, 64)
    runtime = LiteRtRuntime("int8")
    model = runtime.convert(module, (x,))
    assert len(model) < 2 * 64 * 64 * 4  # less than the weights alone take in fp32
    (wanted,) = expected(module, x)
    error = np.abs(np.asarray(runtime.load(model, (x,))()) - wanted.numpy()).max() / float(wanted.abs().max())
    assert 1e-6 < error < 5e-2  # not fp32 in disguise, and not something else
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_crash_of_the_converter_costs_the_module_at_hand_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script in place of the converter's that is killed by its second program."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\nfrom pathlib import Path\n"
        "for program in sorted(Path(sys.argv[1]).glob('*.pt2')):\n"
        "    if program.stem == '0001': print('goodbye', file=sys.stderr); sys.stderr.flush(); os._exit(9)\n"
        "    program.with_suffix('.error').write_text('number ' + program.stem)\n"
    )
    monkeypatch.setattr(litert_convert.litert_script, "__file__", str(script))
    monkeypatch.setattr(litert_convert, "converter_python", lambda: Path(sys.executable))
    items = [(f"relu {i}", nn.ReLU(), (torch.zeros(1, 3),)) for i in range(4)]
    found = dict(LiteRtRuntime().convert_batch(items))
    for i in (0, 2, 3):
        assert str(found[f"relu {i}"]) == f"ReLU cannot be converted to LiteRT: number 000{i}"
    assert "LiteRT's converter stopped: exit status 9, goodbye" in str(found["relu 1"])


def test_availability_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    assert converter_folder() == tmp_path / "litert-converter"
    assert converter_folder() in converter_python().parents
    problem = converter_problem()
    assert problem is not None
    assert problem.endswith("python -m hardware.runtimes.litert_install")
    for name in ("litert-torch==0.10.0", "ai-edge-quantizer==0.10.0", f"torch=={torch.__version__.split('+')[0]}"):
        assert name in problem
    usable, reason = LiteRtRuntime().availability()
    assert not usable
    assert reason == problem or "pip install ai-edge-litert" in reason
    with pytest.raises(HardwareError, match="'litert' is not available"):
        LiteRtRuntime().prepare(nn.ReLU(), (torch.zeros(1),))


def test_an_environment_that_cannot_be_made_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(HardwareError, match="cannot make an environment in"):
        litert_environment.install_converter()
