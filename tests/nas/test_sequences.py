"""Sequence jobs: what is legal, latency of decoding steps, and one small run to the end."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from hardware.runtimes import get_runtime
from hardware.settings import MeasureSettings
from nas.cli import main
from nas.errors import JobError
from nas.job import same_conditions
from nas.job_file import load_job, parse_job
from nas.latency.plan import plan_profile
from nas.latency.profile import measure_table
from nas.latency.rig import prepared
from nas.progress import Silent
from search_spaces import Architecture, Supernet, make_space

JOB: dict[str, Any] = {
    "name": "text",
    "threads": 1,
    "data": {"name": "text-file", "path": "text.txt", "context": 16, "limit": 200},
    "space": {"name": "hybrid-sequence", "mixers": ["sequence_gqa", "sequence_ssd", "sequence_short_conv"]},
    "train": {"epochs": 1, "batch_size": 32, "warmup_epochs": 0.1, "subnets": 2, "label_smoothing": 0.0},
    "devices": [
        {"name": "token", "runtime": "torch", "mode": "decode"},
        {"name": "limited", "runtime": "torch", "mode": "decode", "max_latency_ms": 1000.0},
    ],
    "profile": {"operators": 12, "fit_networks": 20, "validate_networks": 30},
    "search": {"evaluations": 6, "population": 3, "images": 20, "controls": ["random", "ssm"]},
    "report": {"members": 1},
    "export": {"members": 0},  # one is exported by name below: a package takes a minute
}
SPACE = make_space({"name": "hybrid-sequence", "context": [16], "mixers": JOB["space"]["mixers"]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [b"%d and %d make %d.\n" % (a, b, a + b) for a in range(40) for b in range(30)]
    (tmp_path / "text.txt").write_bytes(b"".join(lines))
    return tmp_path


def job(folder: Path, **changes: Any) -> dict[str, Any]:
    made = copy.deepcopy(JOB)
    for path, value in changes.items():
        section, _, key = path.partition("__")
        if key:
            made[section][key] = value
        else:
            made[section] = value
    return made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__path": None}, "data.path: came null"),
        ({"data__path": "nowhere.txt"}, "data.path"),
        ({"data__name": "digits"}, "data.path"),
        ({"data__folder": "."}, "data.folder"),
        ({"space__name": "hybrid-vision"}, "space.name: came the text 'hybrid-vision'; legal: hybrid-sequence"),
        ({"space__resolutions": [8]}, "space.resolutions: came [8]; legal: null"),
        ({"space__context": [12]}, "space.context: came [12]; legal: ascending, each a divisor of the 16"),
        ({"space__context": [4, 8]}, "space.context"),
        ({"space__context": [8]}, "contexts up to data.context"),
        ({"space__mixers": ["sequence_gq"]}, "did you mean 'sequence_gqa'"),
        ({"data": {"name": "copy-recall", "context": 20}}, "data.context: came 20; legal: a multiple of 8"),
        ({"data": {"name": "copy-recall", "context": 16}, "space__context": [8, 16]}, "space.context"),
    ],
)
def test_what_does_not_go_together_is_refused_by_key(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError) as caught:
        parse_job(job(folder, **changes), folder)
    assert message in str(caught.value)


def test_images_have_resolutions_and_no_decoding() -> None:
    plain = load_job("quickstart").to_dict()
    for change, message in (
        ({"space": {"resolutions": None}}, "space.resolutions: came null"),
        ({"space": {**plain["space"], "context": [8]}}, "space.context: came [8]; legal: null"),
        (
            {"devices": [{**plain["devices"][0], "mode": "decode"}]},
            "devices[0].mode: came the text 'decode'; legal: forward",
        ),
        ({"space": {**plain["space"], "name": "hybrid-sequence"}}, "legal: a space of images"),
    ):
        with pytest.raises(JobError) as caught:
            parse_job({**plain, **change})
        assert message in str(caught.value)


def test_the_packaged_job_of_texts_is_legal() -> None:
    loaded = load_job("king-james")
    assert [device.mode for device in loaded.devices] == ["decode", "decode"]
    assert same_conditions(*loaded.devices)
    assert not same_conditions(loaded.devices[0], load_job("quickstart").devices[1])


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_a_decoding_step_of_a_runtime_says_what_the_network_says_of_one_token(runtime: str) -> None:
    architecture = SPACE.architecture(SPACE.sample(1, np.random.default_rng(3))[0])
    network = Supernet(SPACE).extract(architecture).eval()
    step, inputs = prepared(network, architecture.specs[0], 3, "decode")
    outputs = get_runtime(runtime).prepare(step, inputs)()
    with torch.no_grad():
        expected = network(inputs[0].unsqueeze(1))[:, 0]
    torch.testing.assert_close(torch.as_tensor(outputs[0]), expected, rtol=1e-4, atol=1e-5)
    assert len(outputs) == len(inputs)


def test_a_table_of_decoding_steps_is_faster_and_says_so() -> None:
    plan = plan_profile(SPACE, 8, 5, 4)
    tables = {}
    for mode in ("forward", "decode"):
        settings = MeasureSettings.quick()
        tables[mode] = measure_table(SPACE, "torch", plan, Silent(), mode=mode, settings=settings)
    assert tables["decode"].header["mode"] == "decode"
    assert "mode" not in tables["forward"].header
    medians = {mode: float(table.networks["median_ms"].median()) for mode, table in tables.items()}
    assert medians["decode"] < medians["forward"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["profile", "--space", "hybrid-sequence", "--runtime", "torch", "--mode", "decod", "--out", "t"], "decode"),
        (["bench", "recall", "--context", "20"], "--context"),
        (["bench", "recall", "--mixer", "mhsa"], "sequence_gqa"),
    ],
)
def test_mistakes_end_with_code_2(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert named in capsys.readouterr().err


def test_the_recall_bench_judges_by_the_number_of_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "bench",
        "recall",
        "--context",
        "16",
        "--mixer",
        "sequence_gqa",
        "--seeds",
        "1",
        "--steps",
        "60",
        "--json",
    ]
    assert main(arguments) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["pairs"] for row in rows] == [1, 2, 4]
    assert rows[0]["accuracy"] > rows[-1]["accuracy"] > 1 / 8
    assert all(row["state"] > 0 and row["std"] == 0 for row in rows)


def test_a_run_on_a_text_goes_from_data_to_packages(
    folder: Path, capsys: pytest.CaptureFixture[str], brief: None
) -> None:
    (folder / "job.yaml").write_text(yaml.safe_dump(JOB))
    out = folder / "run"
    assert main(["run", str(folder / "job.yaml"), "--out", str(out)]) == 0
    capsys.readouterr()
    tables = [json.loads((out / "tables" / name / "header.json").read_text()) for name in ("token", "limited")]
    assert [table.get("mode") for table in tables] == ["decode", "decode"]
    assert tables[0]["conditions"] == tables[1]["conditions"]  # measured once
    for device in ("token", "limited"):
        front = pd.read_csv(out / f"front-{device}.csv", dtype={"hash": str})
        assert (front["latency_ms"].diff().dropna() > 0).all()
        assert (front["bits_per_byte"].diff().dropna() < 0).all()
        assert (front["test_low"] < front["test_bits_per_byte"])[front["test_bits_per_byte"].notna()].all()
        assert {"state", "context"} <= set(front.columns)
        evaluations = pd.read_parquet(out / "search" / f"{device}.parquet")
        assert evaluations["bits_per_byte"].between(0, 16).all()
        assert (
            front["bits_per_byte"].min()
            == evaluations[evaluations["search"] == "predictor-nsga2"]["bits_per_byte"].min()
        )
        volumes = pd.read_parquet(out / "search" / f"{device}-hypervolume.parquet")
        assert (volumes.groupby(["search", "seed"])["hypervolume"].diff().dropna() >= 0).all()
    html = (out / "report.html").read_text()
    assert "bits per byte" in html
    assert "accuracy" not in html.split("</script>")[1].split("<script")[0]
    fastest = pd.read_csv(out / "front-token.csv", dtype={"hash": str})["hash"][0]
    token = folder / "package"
    assert main(["export", str(out), "--hash", fastest, "--device", "token", "--out", str(token)]) == 0
    manifest = json.loads((token / "manifest.json").read_text())
    formats = ("onnx", "pte") if get_runtime("executorch").availability()[0] else ("onnx",)
    assert "not_exported" not in manifest
    for name in (f"{what}.{format}" for what in ("model", "decode") for format in formats):
        assert manifest["parity"][name]["max_relative"] <= 1e-4
        assert name in manifest["files"]
    assert manifest["input"] == {"name": "input", "shape": [1, 16], "dtype": "int64"}
    assert manifest["latency"]["mode"] == "decode"
    stored = json.loads((token / "architecture.json").read_text())
    assert Architecture.from_json(stored).input_shape == (16,)
