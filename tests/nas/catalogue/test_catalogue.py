"""The catalogue's commands: operators, one operator's contract, spaces in numbers, a space file, known designs."""

import json
from pathlib import Path

import pytest

from nas.catalogue.describe import describe
from nas.cli import main
from nas.errors import JobError
from search_spaces import get_space
from search_spaces.operators import operator_names
from search_spaces.operators.base import FAMILIES

SPACE_FILE = """
title: mine
resolutions: [16]
stem: {conv_stem: {stride: 1}}
downsample: [strided_conv]
channel_mixers: [mlp]
stages:
  - {widths: [16], depths: [1], mixers: [mbconv]}
  - {widths: [32], depths: [1, 2], mixers: {mhsa: {heads: 2, head_dim: [8, 16]}}}
"""


def run(*arguments: str) -> int:
    return main([*arguments])


def test_operators_are_listed_with_what_a_reader_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("operators", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} == set(operator_names())
    for row in rows:
        assert row["family"] in FAMILIES
        assert row["role"] in ("mixer", "channel mixer", "stem", "downsample", "position", "edge", "head")
        assert isinstance(row["causal"], bool)
        assert set(row["deployable"]) | set(row["not_deployable"]) == {"onnxruntime", "executorch"}
        assert row["summary"]
    mixers = [row for row in rows if row["role"] == "mixer"]
    assert len(mixers) >= 55
    assert sum(len(row["deployable"]) == 2 for row in mixers) >= 30


MINE = '''
import torch
from search_spaces.operators import Operator
from search_spaces.references import degenerate, reference

class Scale(Operator):
    """Multiplies every channel by a number.

    Args:
        dim: channels in and out.
    """

    name, role, family = "{name}", "mixer", "other"
    layout = {{"weight": "dim"}}
    not_deployable = {refused}

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight[:, None, None]

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return {macs}, 0

@reference("{name}")
def slow(op, x):
    return torch.einsum("bchw,c->bchw", x, op.weight)

@degenerate("{name}", "weights one: the input")
def ones():
    x = torch.rand(1, 4, 3, 3)
    return Scale(dim=4)(x), x
'''


REFUSED = dict.fromkeys(("onnxruntime", "executorch"), "nobody needs it there")


@pytest.mark.parametrize(("macs", "refused", "code"), [("0", {}, 0), ("height", REFUSED, 1)])
def test_a_users_operator_is_put_through_the_contract(
    macs: str,
    refused: dict[str, str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from search_spaces.operators import registry

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    module = f"my_operators_{code}"
    (tmp_path / f"{module}.py").write_text(MINE.format(name=f"my_scale_{code}", macs=macs, refused=refused))
    assert run("check-operator", f"{module}:Scale", "--json") == code
    found = json.loads(capsys.readouterr().out)
    assert found["cost"]["status"] == ("fail" if code else "pass")
    assert found["reference"]["status"] == found["degenerate"]["status"] == found["source"]["status"] == "pass"
    for runtime in REFUSED:
        assert found[runtime]["status"] in (["n/a"] if refused else ["pass", "untested"])


@pytest.mark.parametrize("name", ["no_such_module:X", "json:JSONDecoder", "mhsaa", "search_spaces.operators:Nothing"])
def test_what_is_no_operator_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check-operator", name) == 2
    assert "operator" in capsys.readouterr().err.lower()


def test_describe_gives_shares_with_intervals() -> None:
    found = describe(get_space("hybrid-vision/tiny"), {}, {"macs": 5e6, "parameters": 2e5})
    macs = found["measures"]["macs"]
    assert macs["smallest"] < macs["p5"] < macs["median"] < macs["p95"] < macs["largest"]
    for entry in [*found["limits"].values(), found["all_limits"]]:
        low, high = entry["interval_95"]
        assert low < entry["share"] < high
    assert found["all_limits"]["share"] <= min(entry["share"] for entry in found["limits"].values())
    assert found["mixers_by_family"]["conv"] == 4
    with pytest.raises(JobError, match="legal: macs, parameters, activations"):
        describe(get_space("hybrid-vision/tiny"), {}, {"mac": 1})


@pytest.mark.parametrize("limit", ["macs", "macs=", "=3", "macs=-1", "macs=nan", "macs=inf"])
def test_wrong_limits_are_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("spaces", "describe", "nas-bench-macro", "--max", limit) == 2
    assert "--max" in capsys.readouterr().err


def test_a_space_file_is_checked_and_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SPACE_FILE)
    assert run("spaces", "check", str(path)) == 0
    assert "custom/mine: fits" in capsys.readouterr().out
    assert run("spaces", "describe", str(path), "--json") == 0
    assert json.loads(capsys.readouterr().out)["architectures"] == get_space(str(path)).size()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mhsa", "mhsaa", "did you mean 'mhsa'"),
        ("heads: 2", "hads: 2", "did you mean 'heads'"),
        ("stride: 1", "stride: 3", "stride: got 3; legal: 1, 2, 4"),
        ("depths: [1, 2]", "depths: [2, 1]", "stages[2].depths"),
        ("title: mine", "titel: mine", "did you mean 'title'"),
        ("resolutions: [16]", "resolutions: [16", "cannot be read"),
        ("downsample: [strided_conv]", "", "'downsample' is missing"),
    ],
)
def test_a_wrong_space_file_is_refused_by_name(
    old: str, new: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(SPACE_FILE.replace(old, new))
    assert run("spaces", "check", str(path)) == 2
    assert words in capsys.readouterr().err.replace("\n", " ")
    assert run("spaces", "check", str(tmp_path / "none.yaml")) == 2
