"""The model of a job: what to search, on which data, for which devices. `nas.job_file` reads one.

The models are frozen and strict: an unknown key, a number given as text or a boolean given as a number is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from nas.job_checks import problems_of

__all__ = [
    "DataSection", "DeviceSection", "ExportSection", "Job", "ProfileSection", "ReportSection", "SearchSection",
    "SpaceSection", "TrainSection", "same_conditions",
]  # fmt: skip

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
Context = Annotated[int, Field(ge=8, le=65_536)]
Control = Literal["random", "local-search", "conv", "attention", "ssm", "no-ssm", "linear-attention"]
CONTROLS: tuple[Control, ...] = ("random", "local-search", "conv", "attention", "ssm", "no-ssm")


def _key(default: object, description: str, **bounds: Any) -> Any:
    return Field(default=default, description=description, **bounds)


class Section(BaseModel):
    """A strict, frozen part of a job."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataSection(Section):
    name: Literal[
        "bible-kjv", "copy-recall", "digits", "digits-pixels", "fashion-mnist", "image-folder", "text-file"
    ] = Field(description="the data set")
    folder: FilePath | None = _key(None, "where its files are; needed by image-folder")
    path: FilePath | None = _key(None, "a text file, or a folder of them; needed by text-file")
    context: int = _key(128, "tokens a sequence; texts and copy-recall only", ge=8, le=65_536)
    image_size: int | None = _key(None, "side in pixels; image-folder only: resize to it", ge=4, le=1024)
    search_fraction: float = _key(0.1667, "share of the training images kept for search", ge=0.01, le=0.5)
    limit: int | None = _key(None, "use only so many training images or sequences, for trials", ge=20, le=10**9)
    seed: Seed = _key(0, "seed of the split between train and search")


class SpaceSection(Section):
    name: str = _key("hybrid-vision", "the search space; `nas spaces` lists them")
    preset: str = _key("tiny", "the preset of the space")
    resolutions: (
        Annotated[tuple[Resolution, ...], Field(min_length=1, max_length=4), BeforeValidator(_tuple)] | None
    ) = _key(None, "input sides in pixels that the search may choose from, ascending; images need them")
    context: Annotated[tuple[Context, ...], Field(min_length=1, max_length=4), BeforeValidator(_tuple)] | None = _key(
        None, "sequence lengths that the search may choose from, ascending; null: data.context"
    )
    mixers: Annotated[tuple[str, ...], Field(min_length=1, max_length=256), BeforeValidator(_tuple)] | None = _key(
        None, "mixers that the layers may choose from; null: all of the space"
    )
    definition: dict[str, Any] | None = _key(None, "a space of your own, as in a space file; name is custom then")


class TrainSection(Section):
    epochs: int = _key(20, "passes over the training split", ge=1, le=100_000)
    batch_size: int = _key(128, "images or sequences a step", ge=2, le=65_536)
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
    mode: Literal["forward", "decode"] = _key("forward", "a call: whole inputs, or one token with the state before it")
    device: str = _key("local", "where it runs: this machine, or a device that `nas devices add` described")
    precision: Literal["fp32", "bf16", "fp16", "int8"] = _key("fp32", "number format; `nas devices` lists a runtime's")
    threads: Threads = _key(1, "threads of the runtime")
    batch: int = _key(1, "images or sequences a call", ge=1, le=4096)
    max_latency_ms: float | None = _key(None, "latency limit in milliseconds a call", gt=0, le=1_000_000)
    goal_latency_ms: float | None = _key(
        None, "a soft limit: slower networks are allowed, and pay for it in quality", gt=0, le=1_000_000
    )
    table: FilePath | None = _key(None, "a latency table or calibration made before; nothing is measured then")


def same_conditions(one: DeviceSection, two: DeviceSection) -> bool:
    """Whether a latency table of the one is one of the other."""
    apart = {"name", "max_latency_ms", "goal_latency_ms"}
    return one.model_dump(exclude=apart) == two.model_dump(exclude=apart)


def _one_error(value: object, legal: ValidatorFunctionWrapHandler) -> Any:
    """A value that is none of several kinds is one mistake, not one a kind."""
    try:
        return legal(value)
    except ValidationError:
        raise ValueError("none of its legal kinds") from None


Width = Annotated[Annotated[float, Field(gt=0, le=1_000_000)] | Literal["auto"] | None, WrapValidator(_one_error)]


class ProfileSection(Section):
    operators: int = _key(220, "operator specs to measure", ge=1, le=1_000_000)
    fit_networks: int = _key(80, "whole networks that the correction is fitted on", ge=20, le=5_000)
    validate_networks: int = _key(50, "other networks that the table is judged on", ge=30, le=100_000)


class SearchSection(Section):
    searcher: str = _key("predictor-nsga2", "the searcher, or several joined by + that share the evaluations")
    evaluations: int = _key(200, "unique architectures evaluated a device and seed", ge=2, le=10_000_000)
    population: int = _key(20, "architectures a generation; at most evaluations", ge=2, le=1_000_000)
    window: int = _key(
        1, "when fewer architectures are under evaluation, the next population is asked for", ge=1, le=1_000_000
    )
    together: bool = _key(False, "one search for all devices: the same networks serve them all, within every limit")
    images: int | None = _key(None, "search images or sequences an evaluation; null: all", ge=10, le=10**9)
    calibration_images: int = _key(512, "training images or sequences that calibrate normalisation", ge=2, le=10**9)
    metric_resolution: Width = _key(
        None, "metrics that differ by less rank as equal; auto: the standard error on the search split"
    )
    latency_resolution: Width = _key(
        None, "the same of latencies, as a share of them; auto: the standard error of each device's latencies"
    )
    seeds: int = _key(1, "independent searches a device", ge=1, le=20)
    designs: Literal["none", "mark", "start"] = _key(
        "mark", "known designs nearest in the space: left out, marks on the front, or also where searches begin"
    )
    controls: Annotated[tuple[Control, ...], Field(max_length=7), BeforeValidator(_tuple)] = _key(
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
    """A validated job. Build it with `nas.job_file`, which turn every problem into one `JobError`."""

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
        problems = list(problems_of(self))
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
