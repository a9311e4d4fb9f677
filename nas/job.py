"""A job: one YAML or JSON file that says what to search, on which data, for which devices.

`load_job` reads a packaged name or a file, `parse_job` a mapping. Both raise one `JobError` that lists every problem.
The models are frozen and strict: an unknown key, a number given as text or a boolean given as a number is refused.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from nas.errors import JobError

__all__ = [
    "DataSection", "DeviceSection", "ExportSection", "Job", "ProfileSection", "ReportSection", "SearchSection",
    "SpaceSection", "TrainSection", "different_keys", "job_names", "job_reference", "load_job", "parse_job",
]  # fmt: skip

JOBS = Path(__file__).parent / "jobs"
SUFFIXES = (".yaml", ".yml", ".json")
SLUG = r"^[a-z0-9][a-z0-9_-]{0,63}$"


def _tuple(value: object) -> object:
    """YAML has lists, a frozen model keeps tuples."""
    return tuple(value) if isinstance(value, list) else value


def _path(value: object, info: ValidationInfo) -> object:
    """Text becomes an absolute path; a relative one starts at the folder of the job file."""
    if not isinstance(value, str):
        return value
    if not value or "\0" in value or value.encode(errors="ignore").decode() != value:
        raise ValueError("not a path")
    folder = (info.context or {}).get("folder") or Path.cwd()
    return Path(os.path.abspath(Path(folder) / os.path.expanduser(value)))


FilePath = Annotated[Path, BeforeValidator(_path)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Threads = Annotated[int, Field(ge=1, le=256)]
Resolution = Annotated[int, Field(ge=4, le=1024)]
Control = Literal["random", "conv", "attention", "ssm", "no-ssm"]
CONTROLS: tuple[Control, ...] = ("random", "conv", "attention", "ssm", "no-ssm")


def _key(default: object, description: str, **bounds: Any) -> Any:
    return Field(default=default, description=description, **bounds)


class Section(BaseModel):
    """A strict, frozen part of a job."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataSection(Section):
    name: Literal["digits", "fashion-mnist", "image-folder"] = Field(description="the data set")
    folder: FilePath | None = _key(None, "where its files are; needed by image-folder")
    image_size: int | None = _key(None, "side in pixels; image-folder only: resize to it", ge=4, le=1024)
    search_fraction: float = _key(0.1667, "share of the training images kept for search", ge=0.01, le=0.5)
    limit: int | None = _key(None, "use only so many training images, for trials", ge=20, le=10**9)
    seed: Seed = _key(0, "seed of the split between train and search")


class SpaceSection(Section):
    name: str = _key("hybrid-vision", "the search space; `nas spaces` lists them")
    preset: str = _key("tiny", "the preset of the space")
    resolutions: Annotated[tuple[Resolution, ...], Field(min_length=1, max_length=4), BeforeValidator(_tuple)] = Field(
        description="input sides in pixels that the search may choose from, ascending"
    )


class TrainSection(Section):
    epochs: int = _key(20, "passes over the training images", ge=1, le=100_000)
    batch_size: int = _key(128, "images a step", ge=2, le=65_536)
    learning_rate: float = _key(0.002, "peak learning rate", gt=0, le=10)
    weight_decay: float = _key(0.05, "decoupled weight decay", ge=0, le=10)
    warmup_epochs: float = _key(1.0, "epochs of linear warm-up; less than epochs", ge=0, le=1000)
    subnets: int = _key(4, "subnets a step: the largest, the smallest, the rest at random", ge=2, le=8)
    label_smoothing: float = _key(0.1, "label smoothing of the largest subnet's loss", ge=0, lt=1)
    augment: bool = _key(True, "random shifts, and mirroring where the data set allows it")
    checkpoint_steps: int = _key(100, "steps between checkpoints", ge=1, le=10**9)


class DeviceSection(Section):
    name: str = Field(pattern=SLUG, description="names the device in files and reports; unique in the job")
    runtime: str = Field(description="what runs the network; `nas devices` lists them")
    precision: Literal["fp32"] = _key("fp32", "number format")
    threads: Threads = _key(1, "threads of the runtime")
    batch: int = _key(1, "images a call", ge=1, le=4096)
    max_latency_ms: float | None = _key(None, "latency limit in milliseconds a call", gt=0, le=1_000_000)
    table: FilePath | None = _key(None, "a latency table measured before; nothing is measured then")


class ProfileSection(Section):
    operators: int = _key(300, "operator specs to measure", ge=1, le=1_000_000)
    fit_networks: int = _key(40, "whole networks that the correction is fitted on", ge=20, le=100_000)
    validate_networks: int = _key(50, "other networks that the table is judged on", ge=30, le=100_000)


class SearchSection(Section):
    searcher: Literal["random", "nsga2", "predictor-nsga2"] = _key("predictor-nsga2", "the searcher")
    evaluations: int = _key(200, "unique architectures evaluated a device and seed", ge=2, le=10_000_000)
    population: int = _key(20, "architectures a generation; at most evaluations", ge=2, le=1_000_000)
    images: int | None = _key(None, "search images an evaluation; null: all of them", ge=10, le=10**9)
    calibration_images: int = _key(512, "training images that calibrate normalisation", ge=2, le=10**9)
    seeds: int = _key(1, "independent searches a device", ge=1, le=20)
    controls: Annotated[tuple[Control, ...], Field(max_length=5), BeforeValidator(_tuple)] = _key(
        CONTROLS, "what the search is compared with at equal cost"
    )


class ReportSection(Section):
    members: int = _key(8, "front members tested and measured again, a device", ge=1, le=1000)


class ExportSection(Section):
    members: int = _key(2, "front members exported, a device; 0: none", ge=0, le=1000)
    formats: Annotated[tuple[Literal["onnx"], ...], Field(max_length=1), BeforeValidator(_tuple)] = _key(
        ("onnx",), "formats beside the weights"
    )


class Job(Section):
    """A validated job. Build it with `load_job` or `parse_job`, which turn every problem into one `JobError`."""

    name: str = Field(pattern=SLUG, description="names the run directory: small letters, digits, - and _")
    seed: Seed = _key(0, "seed of training and search")
    threads: Threads = _key(2, "PyTorch threads for training and evaluation")
    data: DataSection
    space: SpaceSection
    train: TrainSection = TrainSection()
    devices: Annotated[tuple[DeviceSection, ...], Field(min_length=1, max_length=64), BeforeValidator(_tuple)] = Field(
        description="the devices to search for, at least one"
    )
    profile: ProfileSection = ProfileSection()
    search: SearchSection = SearchSection()
    report: ReportSection = ReportSection()
    export: ExportSection = ExportSection()

    @model_validator(mode="after")
    def _cross_checks(self) -> Job:
        problems = list(_problems(self))
        if problems:
            raise PydanticCustomError("cross", "inconsistent", {"problems": problems})
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `parse_job(job.to_dict())` gives the job back. Paths are absolute."""
        return self.model_dump(mode="json")

    def fingerprint(self) -> str:
        """sha256 (hex) of the canonical JSON: equal for equal jobs, whatever the file looked like."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


# What no single field can know ----------------------------------------------------------------------------------------

Problem = tuple[str, object, str]  # key, what came, what is legal


def _one_of(names: list[str], came: str) -> str:
    close = difflib.get_close_matches(came, names, 1)
    return "one of " + ", ".join(names) + (f"; did you mean {close[0]}?" if close else "")


def _problems(job: Job) -> Iterator[Problem]:
    yield from _data_problems(job)
    yield from _space_problems(job.space)
    train, search = job.train, job.search
    if train.warmup_epochs >= train.epochs:
        yield "train.warmup_epochs", train.warmup_epochs, f"less than train.epochs ({train.epochs})"
    if search.population > search.evaluations:
        yield "search.population", search.population, f"at most search.evaluations ({search.evaluations})"
    if len(set(search.controls)) < len(search.controls):
        yield "search.controls", list(search.controls), "each control once"
    seen: set[str] = set()
    for index, device in enumerate(job.devices):
        if device.name in seen:
            yield f"devices[{index}].name", device.name, "a name that no other device of the job has"
        seen.add(device.name)
        yield from _device_problems(f"devices[{index}]", device)


def _data_problems(job: Job) -> Iterator[Problem]:
    data, batch = job.data, job.train.batch_size
    if data.name == "image-folder" and data.folder is None:
        yield "data.folder", None, "a folder with one folder of images a class; image-folder needs it"
    if data.name == "digits" and data.folder is not None:
        yield "data.folder", str(data.folder), "null: digits come with scikit-learn"
    elif data.folder is not None and not os.path.isdir(data.folder):
        yield "data.folder", str(data.folder), "an existing folder (a relative path starts at the job file's folder)"
    if data.name != "image-folder" and data.image_size is not None:
        yield "data.image_size", data.image_size, f"null: the images of {data.name} have their own size"
    if data.limit is not None and data.limit * (1 - data.search_fraction) < batch:
        least = int(batch / (1 - data.search_fraction)) + 1
        yield "data.limit", data.limit, f"at least {least}, so that the train split fills a batch of {batch}"


def _space_problems(space: SpaceSection) -> Iterator[Problem]:
    import search_spaces  # lazily: PyTorch is slow to import, and a job with a mistyped key needs none of it
    from search_spaces.errors import SpaceError

    if list(space.resolutions) != sorted(set(space.resolutions)):
        yield "space.resolutions", list(space.resolutions), "ascending, each side once"
    elif space.name not in search_spaces.space_names():
        yield "space.name", space.name, _one_of(list(search_spaces.space_names()), space.name)
    elif space.preset not in search_spaces.presets(space.name):
        yield "space.preset", space.preset, _one_of(list(search_spaces.presets(space.name)), space.preset)
    else:
        try:  # channels and classes come from the data later and cannot make a space illegal
            search_spaces.make_space({**space.model_dump(mode="json"), "in_channels": 1, "classes": 10})
        except SpaceError as error:
            yield "space", space.model_dump(mode="json"), str(error)


def _device_problems(key: str, device: DeviceSection) -> Iterator[Problem]:
    from hardware.runtimes import runtime_names

    if device.runtime not in runtime_names():
        yield f"{key}.runtime", device.runtime, _one_of(list(runtime_names()), device.runtime)
    if device.table is None:
        return
    if not os.path.exists(device.table):
        yield f"{key}.table", str(device.table), "an existing latency table (`nas profile` measures one)"
        return
    from hardware.errors import HardwareError
    from hardware.table import LatencyTable

    try:
        header = LatencyTable.load(device.table).header
    except HardwareError as error:
        yield f"{key}.table", str(device.table), f"a readable latency table ({error})"
        return
    for name in ("runtime", "precision", "threads", "batch"):
        if (measured := header.get(name)) is not None and measured != getattr(device, name):
            yield f"{key}.table", str(device.table), f"a table for {name} {getattr(device, name)}, not {measured}"


# From a file to a job -------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """safe_load that refuses duplicate keys and reads 1e-3 as a number, as YAML 1.2 does (1.1 makes it text)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def job_names() -> list[str]:
    """Names of the packaged jobs."""
    return sorted(file.stem for file in JOBS.glob("*.yaml"))


def load_job(name_or_path: str | Path) -> Job:
    """The job of a packaged name (`job_names()`) or of a .yaml, .yml or .json file; `JobError` for every mistake."""
    text = str(name_or_path)
    if text in job_names():
        path = JOBS / f"{text}.yaml"
    elif text.endswith(SUFFIXES):
        path = Path(text)
    else:
        kind = "a folder" if os.path.isdir(text) else "no packaged job"
        raise JobError(
            f"job {text!r} is {kind}; legal: {_one_of(job_names(), text)}; or the path of a {', '.join(SUFFIXES)} file"
        )
    if not os.path.isfile(path):
        kind = "is a folder" if os.path.isdir(path) else "does not exist"
        raise JobError(f"the job file {text!r} {kind}; legal: a file, or a packaged job: {', '.join(job_names())}")
    return parse_job(_read(path), path.parent, text)


def _read(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            return json.loads(text, object_pairs_hook=_pairs) if text.strip() else None
        return yaml.load(text, Loader=_Loader)
    except UnicodeDecodeError as error:
        raise JobError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise JobError(f"{path}: not valid YAML at {where}: {error.problem or error.context}") from None
    except json.JSONDecodeError as error:
        raise JobError(f"{path}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise JobError(f"{path}: nested too deeply") from None
    except (OSError, ValueError, OverflowError, yaml.YAMLError) as error:
        raise JobError(f"{path}: cannot be read: {error}") from None


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} twice")
    return result


def parse_job(data: object, folder: str | Path | None = None, source: str = "the job") -> Job:
    """A job from plain values (as YAML gives them). Relative paths start at `folder` (default: the working folder).

    Raises `JobError`, one line a problem: the key, what came, what is legal. `source` names the job in the message.
    """
    if not isinstance(data, Mapping):
        came = "empty" if data is None else f"a {type(data).__name__} at the top level"
        raise JobError(f"{source}: is {came}; legal: a mapping with the keys {', '.join(Job.model_fields)}")
    try:
        return Job.model_validate(dict(data), context={"folder": folder})
    except ValidationError as error:
        lines = [line for item in _without_echoes(error) for line in _explain(item)]
    shown = lines[:20] + ([f"and {len(lines) - 20} more"] if len(lines) > 20 else [])
    count = "one problem" if len(lines) == 1 else f"{len(lines)} problems"
    raise JobError(f"{source}: {count}\n" + "\n".join(f"  {line}" for line in shown))


def _without_echoes(error: ValidationError) -> list[dict[str, Any]]:
    """pydantic calls a list of one broken item too short as well: leave that out."""
    items: list[dict[str, Any]] = [dict(item) for item in error.errors()]
    places = [item["loc"] for item in items]
    inner = {place[:size] for place in places for size in range(len(place))}
    return [item for item in items if item["type"] != "too_short" or item["loc"] not in inner]


def _explain(error: dict[str, Any]) -> list[str]:
    if error["type"] == "cross":
        return [f"{key}: came {_shown(came)}; legal: {legal}" for key, came, legal in error["ctx"]["problems"]]
    key = ""
    for part in error["loc"]:
        key += f"[{part}]" if isinstance(part, int) else f".{part if str(part).isprintable() else _shown(part)}"
    key = key.removeprefix(".")
    reference = job_reference()
    general = re.sub(r"\[\d+\]", "[]", key)
    if error["type"] in ("extra_forbidden", "invalid_key"):
        parent, _, last = general.rpartition(".")
        parts = [name.rpartition(".") for name in reference]
        siblings = [tail for head, _, tail in parts if head == parent and "[" not in tail]
        close = difflib.get_close_matches(last, siblings, 1)
        moved = [name for name in reference if name.rpartition(".")[2] == last]
        hint = f"did you mean {close[0]}? " if close else f"did you mean {moved[0]}? " if moved else ""
        return [f"{key}: unknown key; {hint}legal keys: {', '.join(siblings)}"]
    legal, description, _ = reference.get(general, (error["msg"], "", None))
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        legal = _one_of(legal.removeprefix("one of ").split(", "), error["input"])
    about = f" ({description})" if description else ""
    came = "missing" if error["type"] == "missing" else f"came {_shown(error['input'])}"
    return [f"{key}: {came}; legal: {legal}{about}"]


def _shown(value: object) -> str:
    """A short text for any value, however large or deep."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    value = list(value) if isinstance(value, tuple) else value
    text = {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else ""
    return text or (f"the text {short.repr(value)}" if isinstance(value, str) else short.repr(value))


def job_reference() -> dict[str, tuple[str, str, object]]:
    """Every key of a job -> (legal values in words, description, default; None where there is none).

    Items of a list are written `devices[].name`. The command line's help and the error messages are made from it.
    """
    schema = Job.model_json_schema()
    rows: dict[str, tuple[str, str, object]] = {}

    def walk(node: Mapping[str, Any], key: str) -> None:
        target = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        if key:
            rows[key] = (_legal(target), node.get("description", ""), node.get("default"))
        for name, child in target.get("properties", {}).items():
            walk(child, f"{key}.{name}" if key else name)
        if "items" in target:
            walk(target["items"], f"{key}[]")

    walk(schema, "")
    return rows


def _legal(node: Mapping[str, Any]) -> str:
    if "anyOf" in node:
        return " or ".join(_legal(part) for part in node["anyOf"])
    if "enum" in node or "const" in node:
        return "one of " + ", ".join(map(str, node.get("enum", [node.get("const")])))
    kind = node.get("type")
    if kind in ("integer", "number"):
        word = "a whole number" if kind == "integer" else "a number"
        low = f" above {node['exclusiveMinimum']}" if "exclusiveMinimum" in node else f" from {node['minimum']}"
        high = f" to less than {node['exclusiveMaximum']}" if "exclusiveMaximum" in node else f" to {node['maximum']}"
        return word + low + high
    if kind == "object":
        return "a section with the keys " + ", ".join(node.get("properties", {}))
    if kind == "array":
        return f"a list of {node.get('minItems', 0)} to {node['maxItems']} items" + (
            f", each {_legal(node['items'])}" if "$ref" not in node["items"] else ""
        )
    words = {"boolean": "true or false", "null": "null", "string": "text"}
    text = words.get(str(kind), "a value")
    if node.get("format") == "path":
        return "a path"
    return f"{text} that matches {node['pattern']}" if "pattern" in node else text


def different_keys(one: object, two: object, key: str = "") -> list[str]:
    """Keys at which two plain job values differ, as `train.epochs` or `devices[0].batch`."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        names = list(dict.fromkeys([*one, *two]))
        pairs = [(f"{key}.{name}" if key else str(name), one.get(name), two.get(name)) for name in names]
        return [found for name, a, b in pairs for found in different_keys(a, b, name)]
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        items = enumerate(zip(one, two, strict=True))
        return [found for index, (a, b) in items for found in different_keys(a, b, f"{key}[{index}]")]
    return [] if one == two and type(one) is type(two) else [key]
