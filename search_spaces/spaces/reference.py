"""Reference architectures: named designs of the literature as fixed points of `custom` spaces.

A design is written down compactly in ``designs/*.yaml`` and expanded here to the definition of a space that offers nothing
else, and to the genes of its one architecture:

    resnet-18:
      title: ResNet-18
      paper: {title: ..., authors: He et al., arxiv: "1512.03385"}
      published: {parameters: 11.69e+6, macs: 1.82e+9, resolution: 224, accuracy: 69.8, source: timm}
      differences: what our operators do otherwise than the paper's
      stem: overlap_stem(kernel 7, stride 2)
      downsample: basic_block
      stages:
        - {width: 64, layers: 4 x dense_conv(kernel 3, dilation 1)}
        - {width: 128, layers: 2 x dense_conv(kernel 3, dilation 1)}

``layers`` is a pattern or a list of them: ``N x`` what follows, layers separated by commas, each a mixer, with ``+`` and its
channel mixer where it has one. A stage without layers is down-sampling only. A design with ``vocab`` is a language model over
``resolution`` tokens, its embedding and head given by that; ``tied: true`` where the paper shares their weights.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import yaml

from search_spaces.architecture import Architecture
from search_spaces.build import Cost, cost
from search_spaces.errors import SpaceError
from search_spaces.operators import get_operator
from search_spaces.spaces import make_space

FOLDER = files("search_spaces.spaces") / "designs"
_OPERATOR = r"(?P<name>[a-z]\w*)(?:\((?P<sizes>[^()]*)\))?"
_FRAME = ("stem", "position", "downsample", "head")


@dataclass(frozen=True)
class Paper:
    """Where a design was published first."""

    title: str
    authors: str
    arxiv: str = ""


@dataclass(frozen=True)
class Published:
    """What others say of a design, for comparison with our count.

    Attributes:
        parameters: number of them.
        resolution: side of the image, or tokens of the sequence.
        source: the table or package that the figures come from.
        macs: multiply-accumulates of one image, or of one sequence, where somebody says so.
        accuracy: top-1 on ImageNet-1k in per cent that the paper reports for training on it alone.
    """

    parameters: float
    resolution: int
    source: str
    macs: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class Design:
    """A named design: its architecture, and what was published of it.

    Attributes:
        differences: what ours does otherwise than the paper's, beyond what they all do: shells with a LayerScale, biases, and a
            head that norms after the mean.
        tied: the paper's embedding and head share their weights; ours do not, and `counted` has them once.
    """

    name: str
    title: str
    paper: Paper
    published: Published
    architecture: Architecture
    differences: str = ""
    tied: bool = False

    @cached_property
    def counted(self) -> Cost:
        """Cost of the architecture by the formulas of its operators, for one input."""
        costs = [cost(spec) for spec in self.architecture.specs]
        macs, parameters, activations = (
            sum(getattr(c, part) for c in costs) for part in ("macs", "parameters", "activations")
        )
        return Cost(macs, parameters - (costs[0].parameters if self.tied else 0), activations)

    @property
    def deviation(self) -> dict[str, float]:
        """Counted over published less 1, of ``parameters`` and, where they were published, ``macs``."""
        found = {"parameters": self.counted.parameters / self.published.parameters - 1}
        if self.published.macs is not None:
            found["macs"] = self.counted.macs / self.published.macs - 1
        return found

    @property
    def families(self) -> dict[str, int]:
        """Operator family -> number of mixers of that family."""
        operators = [get_operator(spec.name) for spec in self.architecture.specs]
        found = [op.family for op in operators if op.role == "mixer" and op.shell]
        return {family: found.count(family) for family in dict.fromkeys(found)}


def design_names() -> list[str]:
    """Names of the reference designs."""
    return list(_stored())


def get_design(name: str) -> Design:
    """The reference design ``name``.

    Raises:
        SpaceError: there is none; the message lists the legal names.
    """
    if name not in _stored():
        close = difflib.get_close_matches(str(name), design_names(), n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise SpaceError(f"design: got {name!r}{hint}; legal: {', '.join(design_names())}")
    return expand(name, _stored()[name])


@cache
def _stored() -> dict[str, Any]:
    """Every design as written down, by name."""
    found: dict[str, Any] = {}
    for file in sorted(FOLDER.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            for name, design in yaml.safe_load(file.read_text(encoding="utf-8")).items():
                if name in found:
                    raise SpaceError(f"design {name!r}: there are two; legal: names once, in all files")
                found[name] = design
    return found


def expand(name: str, written: Mapping[str, Any], resolution: int | None = None) -> Design:
    """A design written down as in this module's example; ``resolution`` for another than the published one.

    Raises:
        SpaceError: a pattern cannot be read, or the space refuses it.
    """
    published = Published(**written["published"])
    resolution = published.resolution if resolution is None else resolution
    stages = [list(_layers(f"{name}: stages[{s}]", stage)) for s, stage in enumerate(written["stages"], 1)]
    definition: dict[str, Any] = {"name": "custom", "title": name}
    if "vocab" in written:
        definition |= {"context": [resolution], "vocab": written["vocab"]}
    else:
        definition |= {"resolutions": [resolution], "classes": written.get("classes", 1000), **_frame(name, written)}
    definition["stages"] = [
        _stage(f"{name}: stages[{s}]", stage, layers)
        for s, (stage, layers) in enumerate(zip(written["stages"], stages, strict=True), 1)
    ]
    space = make_space(definition)
    genes = {choice.name: choice.values[0] for choice in space.choices if len(choice.values) == 1}
    for s, layers in enumerate(stages, 1):
        for n, operators in enumerate(layers, 1):
            for gene, (operator, sizes) in operators.items():
                at = f"stage{s}.layer{n}"
                genes |= {f"{at}.{gene}": operator, **{f"{at}.{operator}.{size}": v for size, v in sizes.items()}}
    genes = {gene: value for gene, value in genes.items() if gene in space.index}
    return Design(
        name,
        written["title"],
        Paper(**written["paper"]),
        published,
        Architecture.from_json({"genes": genes}, space),
        written.get("differences", ""),
        written.get("tied", False),
    )


Chosen = tuple[str, dict[str, int]]  # an operator and its sizes


def _frame(where: str, written: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _offer([_operator(f"{where}: {key}", written[key])]) for key in _FRAME if key in written}


def _stage(where: str, written: Mapping[str, Any], layers: list[dict[str, Chosen]]) -> dict[str, Any]:
    mixers = [layer["mixer"] for layer in layers]
    channel_mixers = [layer["channel_mixer"] for layer in layers if "channel_mixer" in layer]
    return {
        "widths": [written["width"]],
        "depths": [len(layers)],
        "mixers": _offer(mixers) if mixers else ["identity"],
        "channel_mixers": _offer(channel_mixers),
        **_frame(where, written),
    }


def _offer(operators: list[Chosen]) -> dict[str, dict[str, list[int]]]:
    """Operator -> size -> the values that occur, ascending."""
    found: dict[str, dict[str, set[int]]] = {}
    for name, sizes in operators:
        values = found.setdefault(name, {})
        for size, value in sizes.items():
            values.setdefault(size, set()).add(value)
    return {name: {size: sorted(values) for size, values in sizes.items()} for name, sizes in found.items()}


def _layers(where: str, stage: Mapping[str, Any]) -> Iterator[dict[str, Chosen]]:
    """Every layer of a stage: its ``mixer`` and, where it has one, its ``channel_mixer``."""
    patterns = stage.get("layers", [])
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        match = re.fullmatch(r"\s*(?:(\d+)\s*x\s+)?(.+)", pattern, re.DOTALL)
        if match is None:
            raise SpaceError(
                f"design {where}: got {pattern!r}; legal: 'N x mixer(size 1) + channel_mixer(size 2), ...'"
            )
        layers = [text.split("+") for text in re.split(r",(?![^(]*\))", match[2])]
        for parts in layers * int(match[1] or 1):
            keys = ("mixer", "channel_mixer")[: len(parts)]
            yield {key: _operator(where, text) for key, text in zip(keys, parts, strict=True)}


def _operator(where: str, text: str) -> Chosen:
    match = re.fullmatch(_OPERATOR, text.strip())
    pairs = [pair.split() for pair in (match["sizes"] or "").split(",")] if match else []
    pairs = [pair for pair in pairs if pair]
    if match is None or any(len(pair) != 2 or not pair[1].isdigit() for pair in pairs):
        raise SpaceError(f"design {where}: got {text.strip()!r}; legal: 'operator(size 1, size 2)'")
    return match["name"], {size: int(value) for size, value in pairs}
