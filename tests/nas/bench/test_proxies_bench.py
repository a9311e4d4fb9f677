"""`nas proxies` and `nas bench proxies` as commands."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.bench.proxies import STORED_OPERATIONS, codes_of, flops
from nas.cli import main
from predictors.proxies import PROXIES
from search_spaces import Architecture, build_network, cost, get_space
from search_spaces.spaces.nas_bench_201 import genes_of

DATA = Path(os.environ.get("HYBRID_NAS_DATA", "../shared/data"))
STORED = DATA / "nas_bench_201_zero_cost.csv.gz"


@pytest.fixture(scope="module")
def architectures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = get_space("hybrid-vision/tiny")
    rows = space.smallest(space.sample(3, np.random.default_rng(0)))
    path = tmp_path_factory.mktemp("proxies") / "architectures.json"
    path.write_text(json.dumps([space.architecture(row).to_json() for row in rows]))
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five cells, of which params are stored rightly in millions, and synflow in any other unit and the other way round."""
    rng = np.random.default_rng(0)
    codes = rng.integers(5, size=(5, 6))
    texts = [str(tuple(int(v) for v in row)) for row in codes]
    space = get_space("nas-bench-201/cifar10")
    built = [build_network(space.architecture(row)) for row in codes_of(pd.Series(texts))]
    params = [sum(p.numel() for p in network.parameters()) for network in built]
    frame = pd.DataFrame(
        {"task": "cifar10", "idx": range(5), "arch": texts, "params": np.float32(np.array(params) / 1e6)}
    )
    frame["val_accuracy"], frame["synflow"] = 90 + frame["params"], -frame["params"]
    path = tmp_path_factory.mktemp("proxies") / "stored.csv"
    frame.to_csv(path, index=False)
    return path


def test_proxies_of_a_file_as_json_and_as_a_table(architectures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxies", str(architectures), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["hash"] for row in rows] == [item["hash"] for item in json.loads(architectures.read_text())]
    for row in rows:
        assert set(row) == {"hash", "seed", "undefined", *PROXIES, *(f"{name}_seconds" for name in PROXIES)}
        assert all(row[f"{name}_seconds"] > 0 for name in PROXIES)
        assert all(isinstance(row[name], float) for name in PROXIES)
    again = ["proxies", str(architectures), "--proxies", "params, zen", "--seed", "0"]
    assert main([*again, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["params"], row["zen"]) for row in found] == [(row["params"], row["zen"]) for row in rows]
    assert main(again) == 0
    text = capsys.readouterr().out
    assert "seconds" in text
    assert all(f"{row['zen']:.6g}" in text and row["hash"] in text for row in rows)


def test_the_bench_correlates_with_what_is_stored(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--table", str(table), "--cells", "5", "--proxies", "params,synflow", "--out", str(tmp_path), "--json"]
    assert main(["bench", "proxies", *options]) == 0
    params, synflow = json.loads(capsys.readouterr().out)["rows"]
    assert (params["equal"], params["stored"], params["accuracy"]) == (1.0, pytest.approx(1), pytest.approx(1))
    assert synflow["stored"] == pytest.approx(-synflow["accuracy"])
    assert synflow["stored_accuracy"] == pytest.approx(-1)
    values = pd.read_csv(tmp_path / "cells.csv")
    assert values["params"].corr(values["synflow"], method="spearman") == pytest.approx(synflow["accuracy"])
    assert len(pd.read_csv(tmp_path / "correlations-cells.csv")) == 2
    assert (tmp_path / "proxies.png").read_bytes().startswith(b"\x89PNG")


def test_the_bench_correlates_with_networks_trained_alone(
    architectures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Accuracies that rise with the parameters, on the digits that the job trains on."""
    known = Architecture.from_lines(json.dumps(item) for item in json.loads(architectures.read_text()))
    sizes = {a.hash: sum(cost(spec).parameters for spec in a.specs) for a in known}
    ranks = pd.DataFrame({"hash": list(sizes), "standalone_accuracy": [size / 1e6 for size in sizes.values()]})
    ranks.to_csv(tmp_path / "ranks.csv", index=False)
    options = ["--ranks", str(tmp_path / "ranks.csv"), "--architectures", str(architectures)]
    assert main(["bench", "proxies", *options, "--proxies", "params,snip", "--json"]) == 0
    params, snip = json.loads(capsys.readouterr().out)["rows"]
    assert (params["of"], params["networks"], params["accuracy"]) == ("networks", len(sizes), pytest.approx(1))
    assert snip["undefined"] == 0


def test_stored_codes_are_read_edge_by_edge() -> None:
    text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
    names = ["nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "none"]  # 01 02 03 12 13 23
    stored = str(tuple(STORED_OPERATIONS.index(name) for name in names))
    assert codes_of(pd.Series([stored])).tolist() == [genes_of(text)]


@pytest.mark.skipif(not STORED.exists(), reason="the public tables are not here")
def test_params_and_flops_of_all_stored_cells_are_equal() -> None:
    frame = pd.read_csv(STORED)
    frame = frame[frame["task"] == "cifar10"]
    codes = codes_of(frame["arch"])
    space = get_space("nas-bench-201/cifar10")
    params = space.additive(lambda spec: cost(spec).parameters).score(codes)
    macs = space.additive(lambda spec: cost(spec).macs).score(codes)
    assert frame["params"].to_numpy() == pytest.approx(params / 1e6, rel=1.2e-7)
    assert frame["flops"].to_numpy() == pytest.approx(flops(codes, pd.Series(macs)) / 1e6, rel=1.2e-7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["proxies", "ARCHITECTURES", "--proxies", "magic"], "proxies: got 'magic'; legal: "),
        (["proxies", "nowhere.json"], "nowhere.json: does not exist"),
        (["bench", "proxies"], "--table: is missing"),
        (["bench", "proxies", "--table", "TABLE", "--proxies", "synflow,synflow"], "each once"),
        (["bench", "proxies", "--table", "TABLE", "--cells", "9"], "--cells: got 9; legal: 4 to 5"),
        (["bench", "proxies", "--table", "TABLE", "--images", "cats"], "--images: got 'cats'; legal: normal"),
        (["bench", "proxies", "--table", "nowhere.csv"], "--table: nowhere.csv cannot be read"),
        (["bench", "proxies", "--table", "ARCHITECTURES"], "has no column 'task'"),
        (["bench", "proxies", "--ranks", "RANKS"], "--architectures: is missing"),
        (
            ["bench", "proxies", "--ranks", "nowhere.csv", "--architectures", "ARCHITECTURES"],
            "nowhere.csv cannot be read",
        ),
        (["bench", "proxies", "--ranks", "RANKS", "--architectures", "ARCHITECTURES"], "lacks abcd; legal: all that"),
    ],
)
def test_wrong_options_exit_2_and_are_named(
    words: list[str], message: str, table: Path, architectures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranks = table.with_name("ranks.csv")
    ranks.write_text("hash,standalone_accuracy\nabcd,0.5\n")
    names = {"TABLE": str(table), "ARCHITECTURES": str(architectures), "RANKS": str(ranks)}
    assert main([names.get(word, word) for word in words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
