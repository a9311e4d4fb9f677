"""The exported package stands alone and equals the network; damage is refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nas.errors import JobError
from nas.export.package import export_package
from nas.export.parity import compare
from nas.export.source import network_source
from search_spaces import Architecture, Supernet, make_space

SPACE = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8, 16], "in_channels": 1, "classes": 4})


@pytest.fixture(scope="module")
def supernet() -> Supernet:
    return Supernet(SPACE, seed=2).eval()


def sample(count: int, seed: int) -> list[Architecture]:
    return [SPACE.architecture(row) for row in SPACE.sample(count, np.random.default_rng(seed))]


def test_package_runs_alone_with_torch_only(supernet: Supernet, tmp_path: Path) -> None:
    """In a fresh interpreter in which none of our packages can be imported."""
    architecture = sample(1, 0)[0]
    network = supernet.extract(architecture)
    x = torch.randn(8, *architecture.input_shape)
    folder = tmp_path / "package"
    manifest = export_package(folder, architecture, network, x, {"note": "test"})
    assert manifest["parity"]["model.py"]["max_relative"] <= 1e-6
    assert manifest["parity"]["model.onnx"]["max_relative"] <= 1e-4
    assert {f.name for f in folder.iterdir()} == {
        "architecture.json", "model.safetensors", "model.py", "model.onnx", "manifest.json",
    }  # fmt: skip
    assert Architecture.from_json(json.loads((folder / "architecture.json").read_text())) == architecture
    torch.save(x, tmp_path / "x.pt")
    script = (
        "import sys, torch\n"
        "for name in ('search_spaces', 'nas', 'hardware', 'predictors'):\n    sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(folder)!r})\n"
        "from model import load\n"
        f"y = load({str(folder / 'model.safetensors')!r})(torch.load({str(tmp_path / 'x.pt')!r}))\n"
        f"torch.save(y, {str(tmp_path / 'y.pt')!r})\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(torch.load(tmp_path / "y.pt"), network(x), rtol=1e-6, atol=1e-6)


def test_package_has_an_executorch_program_or_says_why_not(
    supernet: Supernet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("executorch")
    from hardware.runtimes import conversion, executorch_program

    architecture = min(sample(20, 5), key=lambda found: len(found.specs))
    network, x = supernet.extract(architecture), torch.randn(4, *architecture.input_shape)
    manifest = export_package(tmp_path / "p", architecture, network, x, {}, formats=("executorch",))
    assert manifest["parity"]["model.pte"]["max_relative"] <= 1e-4
    assert "model.pte" in manifest["files"]
    program = executorch_program.ExecuTorchProgram((tmp_path / "p" / "model.pte").read_bytes())
    with torch.no_grad():
        torch.testing.assert_close(program(x[:1]), network(x[:1]), rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(conversion, "_version", lambda name: None)
    manifest = export_package(tmp_path / "p", architecture, network, x, {}, formats=("executorch",))
    assert "pip install executorch" in manifest["not_exported"]["executorch"]
    assert not (tmp_path / "p" / "model.pte").exists()


def test_source_of_every_operator_builds_the_same_parameters(supernet: Supernet) -> None:
    used: set[str] = set()
    for architecture in sample(25, 1):
        used |= {spec.name for spec in architecture.specs}
        namespace: dict = {"__name__": "exported"}
        exec(compile(network_source(architecture), "model.py", "exec"), namespace)
        network = namespace["build"]()
        network.load_state_dict(supernet.extract(architecture).state_dict())
        x = torch.randn(1, *architecture.input_shape)
        with torch.no_grad():
            assert torch.equal(network.eval()(x), supernet.extract(architecture)(x))
    assert used == {spec.name for spec in SPACE.specs()}


def test_a_network_that_does_not_match_is_refused(supernet: Supernet, tmp_path: Path) -> None:
    architecture = sample(1, 3)[0]
    network = supernet.extract(architecture)

    class Off(type(network)):  # type: ignore[misc]
        def forward(self, x):
            return super().forward(x) + 0.01

    network.__class__ = Off
    with pytest.raises(JobError, match=r"model\.py differs"):
        export_package(tmp_path / "p", architecture, network, torch.randn(2, *architecture.input_shape), {}, formats=())
    assert not (tmp_path / "p").exists()


def test_weights_in_the_package_are_those_of_the_supernet(supernet: Supernet, tmp_path: Path) -> None:
    architecture = sample(1, 4)[0]
    network = supernet.extract(architecture)
    export_package(tmp_path / "p", architecture, network, torch.randn(2, *architecture.input_shape), {}, formats=())
    stored = load_file(tmp_path / "p" / "model.safetensors")
    for name, tensor in network.state_dict().items():
        assert torch.equal(stored[name], tensor)


def test_compare_measures_the_difference() -> None:
    x = torch.randn(5, 3, 2, 2)
    found = compare(lambda t: t.flatten(1), lambda t: t.flatten(1) + 0.5, x)
    assert found.max_absolute == pytest.approx(0.5, rel=1e-5)
    assert found.max_relative == pytest.approx(0.5 / float(x.abs().max()), rel=1e-5)
    assert found.images == 5
