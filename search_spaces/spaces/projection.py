"""The point of a search space nearest to an architecture of another: where a search may begin, and where a known design
stands on a front."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace

# sizes that grow with the width of a network, so that they shrink with it too
WITH_WIDTH = ("heads", "kv_heads", "inner", "part", "squeeze", "hidden", "features", "bias_dim", "quarter", "period")
KINDS = ("mixer", "channel_mixer")
FRAME = ("stem", "position", "downsample", "head")


class _Operator(NamedTuple):
    name: str
    sizes: dict[str, int]


class _Layer(NamedTuple):
    width: int
    operators: dict[str, _Operator]  # "mixer" and, where it has one, "channel_mixer"


def project(architecture: Architecture, space: SearchSpace) -> Architecture | None:
    """The architecture of ``space`` nearest to ``architecture``, or None where ``space`` does not offer its mixers there.

    Both spaces name their genes as pyramids do. Stages are matched by their place between first and last. Widths and
    depths keep their profile over the stages: all are scaled by the one factor nearest to 1 at which they fit best. A
    stage keeps its pattern of mixers: a period is repeated, anything else stretched or shrunk. Sizes take the nearest
    value, those that grow with the width after scaling. Where a mixer is not offered but nearly the same one is, as plain
    attention without and with a local branch, that stands in for it. A channel mixer that is not offered gives way to the
    first that is, one that the design has not to the smallest.
    """
    source, target = _stages(architecture.values), _Target(space)
    matched = [[layer for stage in group for layer in stage] for group in _matched(source, len(target.depths))]
    if not source or not target.depths:
        return None
    widths = _fit(
        [float(np.exp(np.mean(np.log([layer.width for layer in layers])))) for layers in matched], target.widths
    )
    depths = _fit([float(len(layers)) for layers in matched], target.depths)
    for s, (layers, width, depth) in enumerate(zip(matched, widths, depths, strict=True), 1):
        target.set(f"stage{s}.width", width)
        target.set(f"stage{s}.depth", depth)
        if not all(target.mixer(f"stage{s}.layer1", layer) for layer in layers):
            return None
        for n, layer in enumerate(_resampled(layers, depth), 1):
            target.lay(f"stage{s}.layer{n}", layer, width / layer.width)
    for gene in ("resolution", "context"):
        target.near(gene, architecture.values.get(gene))
    for node in reversed(
        architecture.nodes
    ):  # of several of a kind the first counts, unless a later one has the same place
        target.frame(node.key.split(".")[0], node.spec.name, dict(node.spec.sizes))
    return target.architecture()


class _Target:
    """A row of ``space`` in the making; genes that nobody sets keep their first legal value."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.placed: set[str] = set()
        self.row = np.array([legal[0] for legal in space.legal])
        stages = range(1, 1 + sum(re.fullmatch(r"stage\d+\.depth", gene) is not None for gene in space.index))
        self.widths = [self.legal(f"stage{s}.width") for s in stages]
        self.depths = [self.legal(f"stage{s}.depth") for s in stages]

    def legal(self, gene: str) -> list[Any]:
        """Values that ``gene`` may take; none if there is no such gene."""
        g = self.space.index.get(gene)
        return [] if g is None else [self.space.choices[g].values[i] for i in self.space.legal[g]]

    def set(self, gene: str, value: Any) -> None:
        g = self.space.index[gene]
        self.row[g] = self.space.choices[g].values.index(value)

    def near(self, gene: str, value: Any) -> None:
        """Sets ``gene``, if there is one, to ``value`` or the number nearest to it."""
        legal = self.legal(gene)
        if value in legal:
            self.set(gene, value)
        elif legal and isinstance(value, int | float) and all(isinstance(v, int | float) for v in legal):
            self.set(gene, min(legal, key=lambda v: abs(v - value)))

    def frame(self, place: str, name: str, sizes: dict[str, int]) -> None:
        """Sets the genes of a stem, position, down-sampling or head: at ``place`` and, until something stands there, at the
        others of its kind."""
        kind = place.rstrip("0123456789")
        if kind not in FRAME:
            return
        for key in {gene.split(".")[0] for gene in self.space.index if gene.startswith(kind)}:
            if key != place and key in self.placed:
                continue
            if key == place:
                self.placed.add(key)
            self.near(key, name)
            for size, value in sizes.items():
                self.near(f"{key}.{name}.{size}", value)
                self.near(f"{key}.{size}", value)

    def mixer(self, at: str, layer: _Layer) -> _Operator | None:
        """The mixer of ``layer``, or what stands in for it; None if neither is offered."""
        legal, wanted = self.legal(f"{at}.mixer"), layer.operators["mixer"]
        return next((op for op in (wanted, _stand_in(wanted)) if op is not None and op.name in legal), None)

    def lay(self, at: str, layer: _Layer, scale: float) -> None:
        """Sets the genes of one layer, whose mixer is offered."""
        for kind in KINDS:
            if not (legal := self.legal(f"{at}.{kind}")):
                continue
            wanted = self.mixer(at, layer) if kind == "mixer" else layer.operators.get(kind)
            name = wanted.name if wanted is not None and wanted.name in legal else legal[0]
            if wanted is None and "deep_mlp" in legal:
                name = "deep_mlp"  # with depth 0, the smallest, it adds nothing
            self.set(f"{at}.{kind}", name)
            for size, value in (wanted.sizes if wanted is not None else {}).items():
                self.near(f"{at}.{name}.{size}", value * scale if size in WITH_WIDTH else value)

    def architecture(self) -> Architecture:
        return self.space.architecture(self.row)


def _stand_in(wanted: _Operator) -> _Operator | None:
    if wanted.name == "reduced_attention" and wanted.sizes["ratio"] == 1:
        return _Operator("mhsa", wanted.sizes)
    if wanted.name == "squeezed_mbconv":
        return _Operator("mbconv", {**wanted.sizes, "se": 1})
    return None


def _stages(values: dict[str, Any]) -> list[list[_Layer]]:
    """The layers of every stage that has any."""
    stages = []
    for s in range(1, 1 + sum(re.fullmatch(r"stage\d+\.depth", gene) is not None for gene in values)):
        layers = []
        for n in range(1, values[f"stage{s}.depth"] + 1):
            operators = {}
            for kind in KINDS:
                name = values.get(f"stage{s}.layer{n}.{kind}")
                if name is not None:
                    prefix = f"stage{s}.layer{n}.{name}."
                    sizes = {gene.removeprefix(prefix): v for gene, v in values.items() if gene.startswith(prefix)}
                    operators[kind] = _Operator(name, sizes)
            layers.append(_Layer(values[f"stage{s}.width"], operators))
        if layers:
            stages.append(layers)
    return stages


def _matched(stages: list[list[_Layer]], number: int) -> list[list[list[_Layer]]]:
    """For each of ``number`` stages, the stages that stand where it stands; where none does, the nearest."""
    if not stages:
        return []
    places = [s * (number - 1) / max(len(stages) - 1, 1) for s in range(len(stages))]
    matched = []
    for t in range(number):
        here = [stage for stage, place in zip(stages, places, strict=True) if math.floor(place + 0.5) == t]
        nearest = min(range(len(stages)), key=lambda s, t=t: abs(places[s] - t))  # type: ignore[misc]
        matched.append(here or [stages[nearest]])
    return matched


def _fit(wanted: list[float], legal: list[list[int]]) -> list[int]:
    """Values nearest to ``wanted`` times one factor: of those that bring most within the legal ranges, the nearest to 1."""
    logs = np.log(wanted)
    low, high = (np.log([max(values[end], 0.5) for values in legal]) - logs for end in (0, -1))

    def misfit(factor: float) -> tuple[float, float]:
        outside = np.maximum(low - factor, 0) + np.maximum(factor - high, 0)
        return round(float(outside.sum()), 9), abs(factor)

    factor = min([0.0, *low.tolist(), *high.tolist()], key=misfit)
    return [
        min(values, key=lambda v, log=log: abs(math.log(max(v, 0.5)) - log - factor))  # type: ignore[misc]
        for values, log in zip(legal, logs.tolist(), strict=True)
    ]


def _resampled(layers: Sequence[_Layer], depth: int) -> list[_Layer]:
    """``depth`` layers in the pattern of ``layers``."""
    names = [layer.operators for layer in layers]
    for period in range(1, len(layers) // 2 + 1):
        if all(names[n] == names[n % period] for n in range(len(names))):
            return [layers[n % period] for n in range(depth)]
    return [layers[int((n + 0.5) * len(layers) / depth)] for n in range(depth)]
