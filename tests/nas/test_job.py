"""Jobs: what is legal loads, everything else is one JobError that names the key."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nas.data import data_names
from nas.errors import JobError
from nas.job import Job
from nas.job_file import JOBS, different_keys, job_names, job_reference, load_job, parse_job

FULL = load_job("quickstart").to_dict()


def leaves(value: Any, path: Any = ()) -> Any:
    """Every path of a plain value, sections and list items included."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield from leaves(child, (*path, key))


def at(value: Any, path: Any) -> Any:
    for key in path:
        value = value[key]
    return value


PATHS = sorted(leaves(FULL), key=str)
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(2**70, 2**2000), st.integers(-(2**80), -1), st.floats(),
    st.text(max_size=8), st.just("\ud800"), st.just("~nobody-here/x"), st.just("x" * 5000), st.just("12"), st.dates(),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.recursive(st.integers(), lambda inner: st.lists(inner, min_size=1, max_size=2), max_leaves=8),
)  # fmt: skip


@pytest.mark.parametrize("name", ["quickstart", "fashion-mnist"])
def test_packaged_jobs_load_and_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    job = load_job(name)
    assert name in job_names()
    assert job.name == name
    for suffix, dump in ((".yaml", yaml.safe_dump), (".json", json.dumps)):
        copied = tmp_path / f"copy{suffix}"
        copied.write_text(dump(job.to_dict()))
        assert load_job(copied) == job
        assert load_job(copied).fingerprint() == job.fingerprint()


def test_defaults_are_those_of_the_reference() -> None:
    minimal = {key: FULL[key] for key in ("name", "data", "space", "devices")}
    job = parse_job(minimal).to_dict()
    rows = job_reference()
    assert job["train"]["epochs"] == rows["train.epochs"][2] == 20
    controls = ["random", "local-search", "conv", "attention", "ssm", "no-ssm"]
    assert job["search"]["controls"] == rows["search.controls"][2] == controls
    for key, (legal, description, _) in rows.items():
        parent, _, name = key.rpartition(".")
        assert legal
        assert legal != "a value"
        assert description or "[]" in name or parent == ""


def test_data_names_are_the_legal_values() -> None:
    assert job_reference()["data.name"][0] == "one of " + ", ".join(data_names())


def key_text(path: Any) -> Any:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_mutated_job_is_valid_or_names_the_key(data: st.DataObject) -> None:
    job = copy.deepcopy(FULL)
    path = data.draw(st.sampled_from(PATHS))
    parent, key = at(job, path[:-1]), path[-1]
    kind = data.draw(st.sampled_from(["delete", "rename", "replace", "nest"]))
    new = f"{key}x"
    if kind == "delete":
        del parent[key]
    elif kind == "rename":
        assume(isinstance(parent, dict))
        parent[new] = parent.pop(key)
    elif kind == "nest":
        parent[key] = {str(key): parent[key]}
    else:
        parent[key] = data.draw(JUNK)
    result, text = None, ""
    try:
        result = parse_job(job)
    except JobError as error:
        text = str(error)
    if result is None:
        # a list that got too short is a problem of the list; inconsistent sections may name the other key of the pair
        names = [key_text(path), key_text(path[:-1])] if kind == "delete" else [key_text(path)]
        pairs = {"epochs": "warmup_epochs", "evaluations": "population", "batch_size": "limit", "name": "folder"}
        names += [pairs.get(str(key), key_text(path)), *(["folder", "image_size"] if path[0] == "data" else [])]
        names += ["space"] if path[0] == "space" else []
        assert any(name in text for name in names), text
        assert len(text) < 20_000
    else:
        assert isinstance(result, Job)
        assert parse_job(result.to_dict()) == result
        assert kind != "rename"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("train", "epochs"), "12"), (("train", "epochs"), True), (("train", "epochs"), 12.0), (("train", "epochs"), 0),
        (("train", "augment"), 1), (("train", "augment"), "yes"), (("train", "learning_rate"), math.nan),
        (("train", "learning_rate"), math.inf), (("train", "learning_rate"), True), (("train", "subnets"), 1),
        (("train", "learning_rate"), 10**400), (("seed",), -1), (("name",), "../up"), (("name",), "a\n"),
        (("devices",), []), (("devices",), {}), (("devices", 0, "precision"), "fp16"), (("devices", 0, "threads"), 0),
        (("devices", 0, "max_latency_ms"), 0), (("devices", 0, "runtime"), "toch"), (("profile", "fit_networks"), 19),
        (("profile", "validate_networks"), 29), (("search", "controls"), ["random", "mlp"]),
        (("search", "controls"), ["random", "random"]), (("space", "resolutions"), [16, 8]),
        (("data", "name"), "digit"), (("space", "preset"), "tny"), (("data", "limit"), 60),
        (("space", "resolutions"), [8, 8]), (("space", "resolutions"), {8}), (("space", "name"), "nothing"),
        (("data", "folder"), "."), (("data", "folder"), "a\0b"), (("data", "folder"), "\ud800"),
        (("data", "image_size"), 8), (("devices", 0, "table"), "not-here"), (("devices", 0, "table"), ""),
        (("search", "population"), 65), (("train", "warmup_epochs"), 12), (("devices", 1, "name"), "cpu-torch"),
    ],
)  # fmt: skip
def test_illegal_values_are_refused_by_key(path: Any, value: Any) -> None:
    job = copy.deepcopy(FULL)
    at(job, path[:-1])[path[-1]] = value
    with pytest.raises(JobError) as caught:
        parse_job(job)
    assert key_text(path) in str(caught.value)
    assert "legal: " in str(caught.value)
    assert "one problem" in str(caught.value)


def test_all_problems_are_listed_at_once_with_suggestions() -> None:
    job = copy.deepcopy(FULL)
    job["train"]["epohcs"] = 3
    job["epochs"] = 3
    job["devices"][1]["thread"] = 2
    job["search"]["images"] = "all"
    with pytest.raises(JobError) as caught:
        parse_job(job, source="mine.yaml")
    text = str(caught.value)
    assert text.startswith("mine.yaml: 4 problems\n")
    assert "train.epohcs: unknown key; did you mean epochs?" in text
    assert "did you mean train.epochs?" in text
    assert "devices[1].thread: unknown key; did you mean threads?" in text
    assert "search.images: came the text 'all'; legal: a whole number from 10 to 1000000000 or null" in text


def test_cross_problems_are_listed_at_once() -> None:
    job = copy.deepcopy(FULL)
    job["data"]["name"] = "image-folder"
    job["search"]["population"] = 1000
    job["devices"][0]["runtime"] = "onnxruntim"
    with pytest.raises(JobError, match="3 problems") as caught:
        parse_job(job)
    assert "data.folder: came null" in str(caught.value)
    assert "search.population: came 1000; legal: at most search.evaluations (64)" in str(caught.value)
    assert "did you mean onnxruntime?" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"- a\n- b\n", "a list at the top level"),
        (b"just text", "a str at the top level"),
        (b"name: a\ntrain: {epochs: 1\n", "not valid YAML at line 3, column 1"),
        (b"name: a\nname: b\n", "line 2, column 1: the key 'name' twice"),
        (b"train: {epochs: 1, epochs: 2}\n", "the key 'epochs' twice"),
        (b"name: \xff\xfe\n", "not UTF-8"),
        (b"name: a\0b", "cannot be read"),
        (b"a: 1\n---\nb: 2\n", "not valid YAML"),
        (b"name: !!python/object/apply:os.system [ls]\n", "not valid YAML at line 1"),
        (b"? [a]\n: 1\n", "not valid YAML"),
        (b"name: 2001-99-99\n", "cannot be read"),
        (b"seed: " + b"9" * 5000, "cannot be read"),
        (b"a: " + b"[" * 5000, "nested too deeply"),
    ],
)
def test_broken_files_are_clear_errors(tmp_path: Path, content: Any, expected: Any) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    with pytest.raises(JobError) as caught:
        load_job(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 1500), junk=st.binary(max_size=6))
def test_a_file_with_bytes_replaced_loads_or_is_a_job_error(tmp_path: Path, cut: Any, junk: Any) -> None:
    content = (JOBS / "quickstart.yaml").read_bytes()
    path = tmp_path / "job.yaml"
    path.write_bytes(content[:cut] + junk + content[cut + len(junk) :])
    try:
        assert isinstance(load_job(path), Job)
    except JobError as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "empty"),
        ('{"a": 1,}', "line 1, column"),
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ("[" * 100_000, "deeply"),
    ],
)
def test_broken_json(tmp_path: Path, content: Any, expected: Any) -> None:
    path = tmp_path / "job.json"
    path.write_text(content)
    with pytest.raises(JobError, match=expected):
        load_job(path)


@pytest.mark.parametrize("name", ["quikstart", "missing.yaml", "", "a\0b.yaml", "x" * 5000 + ".yaml", "\ud800.json"])
def test_a_missing_job_names_the_packaged_ones(name: str) -> None:
    with pytest.raises(JobError, match="quickstart"):
        load_job(name)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").mkdir()
    for path in (tmp_path, tmp_path / "job.yaml"):
        with pytest.raises(JobError, match="is a folder"):
            load_job(path)


def test_relative_paths_start_at_the_job_file(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    job = copy.deepcopy(FULL)
    job["data"] = {"name": "image-folder", "folder": "images", "image_size": 8}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    assert load_job(tmp_path / "job.yaml").data.folder == tmp_path / "images"


def test_scientific_numbers_are_numbers(tmp_path: Path) -> None:
    text = yaml.safe_dump(FULL).replace("learning_rate: 0.002", "learning_rate: 2e-3")
    assert "2e-3" in text
    (tmp_path / "job.yaml").write_text(text)
    assert load_job(tmp_path / "job.yaml").train.learning_rate == 0.002


def test_fingerprint_follows_meaning_and_differences_name_keys() -> None:
    same = parse_job({key: FULL[key] for key in reversed(FULL)})
    assert same.fingerprint() == parse_job(FULL).fingerprint()
    other = copy.deepcopy(FULL)
    other["train"]["epochs"] += 1
    other["devices"][0]["batch"] = 2
    changed = parse_job(other)
    assert changed.fingerprint() != same.fingerprint()
    assert different_keys(same.to_dict(), changed.to_dict()) == ["train.epochs", "devices[0].batch"]
    assert different_keys(FULL, FULL) == []


def test_a_job_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_job("quickstart").train.epochs = 3  # type: ignore[misc]
