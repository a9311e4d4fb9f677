"""From a file to a `Job`, and every mistake in it as one message.

`load_job` reads a packaged name or a file, `parse_job` a mapping. Both raise one `JobError` that lists every problem.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nas.errors import JobError
from nas.job import Job
from nas.job_checks import one_of

__all__ = ["different_keys", "job_names", "job_reference", "load_job", "parse_job"]

JOBS = Path(__file__).parent / "jobs"
SUFFIXES = (".yaml", ".yml", ".json")


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
            f"job {text!r} is {kind}; legal: {one_of(job_names(), text)}; or the path of a {', '.join(SUFFIXES)} file"
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
        legal = one_of(legal.removeprefix("one of ").split(", "), error["input"])
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
