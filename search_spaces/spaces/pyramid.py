"""The pyramid: image networks of stages, whose layers choose their operators. Shipped and users' image spaces are these.

    stem -> (position) -> stage 1 (layers) -> down-sampling -> (position) -> stage 2 (layers) -> ... -> head

A layer is one mixer; mixers that do not mix channels themselves are followed by a channel mixer. Widths are chosen per
stage, so an operator's type never changes the shapes around it. Every (layer, mixer type) has weights of its own; stem,
position, down-sampling, channel mixers and head are shared by all architectures that use them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from search_spaces.build import check_spec
from search_spaces.errors import SpaceError
from search_spaces.operators import get_operator
from search_spaces.space import Choice, SearchSpace, Slot
from search_spaces.spec import OperatorSpec

Sizes = Mapping[str, tuple[int, ...]]
Operators = Mapping[str, Sizes]  # operator name -> the values of its sizes, widths apart


@dataclass(frozen=True)
class Stage:
    """Legal widths and depths of one stage, its mixers and its channel mixers with their sizes; the down-sampling before it
    where it is not the pyramid's, and positions after that."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    mixers: Operators
    channel_mixers: Operators
    downsamples: Operators = field(default_factory=dict)
    positions: Operators = field(default_factory=dict)


@dataclass(frozen=True)
class Pyramid:
    """Everything that can be chosen. Where one stem, position, down-sampling or head is given, there is nothing to choose.
    ``positions`` are those after the stem."""

    stages: tuple[Stage, ...]
    resolutions: tuple[int, ...]
    in_channels: int
    classes: int
    stems: Operators
    downsamples: Operators
    positions: Operators = field(default_factory=dict)
    heads: Operators = field(default_factory=lambda: {"pooled_head": {}})

    def space(self, name: str, definition: Mapping[str, Any]) -> SearchSpace:
        """The search space, after every operator was checked at every size it may take.

        Raises:
            SpaceError: an operator does not fit where it stands; the message names it, the size and what is legal.
        """
        maker = _Maker(self)
        return SearchSpace(name, definition, maker.choices, maker.slots)


class _Maker:
    """Walks down the pyramid once and collects choices and slots."""

    def __init__(self, pyramid: Pyramid) -> None:
        self.pyramid = pyramid
        self.choices: list[Choice] = [Choice("resolution", pyramid.resolutions)]
        self.slots: list[Slot] = []
        channels = pyramid.in_channels
        self.sides = {side: side for side in pyramid.resolutions}  # resolution -> side of the image so far
        widths = [stage.widths for stage in pyramid.stages]
        frames: list[Slot] = []
        for s, stage in enumerate(pyramid.stages, 1):
            if s == 1:
                self._frame("stem", pyramid.stems, {"channels": (channels,), "dim": widths[0]}, frames)
                self._positions(1, pyramid.positions or stage.positions, widths[0], frames)
            else:
                widths_around = {"dim_in": widths[s - 2], "dim_out": widths[s - 1]}
                self._frame(f"downsample{s}", stage.downsamples or pyramid.downsamples, widths_around, frames)
                self._positions(s, stage.positions, widths[s - 1], frames)
            self._stage(s, stage, frames)
        self._head(len(widths), widths[-1], frames)
        self.slots = frames

    def _head(self, s: int, widths: tuple[int, ...], slots: list[Slot]) -> None:
        heads, classes = self.pyramid.heads, {"classes": self.pyramid.classes}
        if len(heads) > 1:
            self.choices.append(Choice("head", tuple(heads)))
        self._check({name: {**sizes, "classes": (classes["classes"],)} for name, sizes in heads.items()}, widths)
        for name, sizes in heads.items():
            at, when = ("head", None) if len(heads) == 1 else (f"head.{name}", ("head", (name,)))
            self.choices += [Choice(f"{at}.{size}", values, when) for size, values in sizes.items()]
            slots.append(self._layer_slot(at, name, sizes, s, widths, when, classes))

    def _frame(self, key: str, operators: Operators, widths: Sizes, slots: list[Slot]) -> None:
        """A stem or down-sampling: one choice of operator if there are several, one of each size that has several values."""
        stage = 1 if key == "stem" else int(key.removeprefix("downsample"))
        if len(operators) > 1:
            self.choices.append(Choice(key, tuple(operators)))
        after: dict[int, int] = {}
        for name, sizes in operators.items():
            at, when = (key, None) if len(operators) == 1 else (f"{key}.{name}", (key, (name,)))
            free = {size: values for size, values in sizes.items() if len(values) > 1}
            self.choices += [Choice(f"{at}.{size}", values, when) for size, values in free.items()]
            fixed = {size: values[0] for size, values in sizes.items() if len(values) == 1}
            for resolution, out in self._sides_after(key, name, sizes, widths).items():
                if after.setdefault(resolution, out) != out:
                    raise SpaceError(
                        f"{key}: {name} gives side {out} at resolution {resolution}, "
                        f"{next(iter(operators))} gives {after[resolution]}; legal: operators that give the same side"
                    )
            spec = _frame_spec(name, tuple(widths), tuple(free), fixed, dict(self.sides), self.pyramid.in_channels)
            genes = [f"stage{stage - 1}.width", f"stage{stage}.width"] if stage > 1 else ["stage1.width"]
            slots.append(Slot(at, ("resolution", *genes, *(f"{at}.{size}" for size in free)), spec, when))
        self.sides = after

    def _sides_after(self, key: str, name: str, sizes: Sizes, widths: Sizes) -> dict[int, int]:
        """Resolution -> side after operator ``name``, which every value of its sizes must give alike."""
        after: dict[int, int] = {}
        operator = get_operator(name)
        for spec in _specs(name, {**widths, **sizes}, [(next(iter(widths)), side) for side in self.sides.values()]):
            check_spec(spec)
        for resolution, side in self.sides.items():
            least = {size: values[0] for size, values in widths.items()}
            for values in itertools.product(*sizes.values()):
                chosen = {**least, **dict(zip(sizes, values, strict=True))}
                shape = (chosen.get("channels", chosen.get("dim_in", 0)), side, side)
                out = operator.output_shape(shape, **chosen)
                if out[1] != out[2] or after.setdefault(resolution, out[1]) != out[1]:
                    raise SpaceError(f"{key}: {name} gives {out[1]}x{out[2]} from side {side}; legal: one square side")
        return after

    def _positions(self, s: int, positions: Operators, widths: tuple[int, ...], slots: list[Slot]) -> None:
        key = "position" if s == 1 else f"position{s}"
        if len(positions) > 1:
            self.choices.append(Choice(key, tuple(positions)))
        self._check(positions, widths)
        for name, sizes in positions.items():
            at, when = (key, None) if len(positions) == 1 else (f"{key}.{name}", (key, (name,)))
            self.choices += [Choice(f"{at}.{size}", values, when) for size, values in sizes.items()]
            slots.append(self._layer_slot(at, name, sizes, s, widths, when))

    def _stage(self, s: int, stage: Stage, slots: list[Slot]) -> None:
        self._check({**stage.mixers, **stage.channel_mixers}, stage.widths)
        self.choices += [Choice(f"stage{s}.width", stage.widths), Choice(f"stage{s}.depth", stage.depths)]
        for layer in range(1, stage.depths[-1] + 1):
            at = f"stage{s}.layer{layer}"
            deep = (f"stage{s}.depth", tuple(depth for depth in stage.depths if depth >= layer))
            self.choices.append(Choice(f"{at}.mixer", tuple(stage.mixers), deep))
            tokens = tuple(name for name in stage.mixers if not get_operator(name).mixes_channels)
            self._options(at, f"{at}.mixer", stage.mixers)
            if tokens and stage.channel_mixers:
                self.choices.append(Choice(f"{at}.channel_mixer", tuple(stage.channel_mixers), (f"{at}.mixer", tokens)))
                self._options(at, f"{at}.channel_mixer", stage.channel_mixers)
            for gene, operators in ((f"{at}.mixer", stage.mixers), (f"{at}.channel_mixer", stage.channel_mixers)):
                if operators is stage.channel_mixers and not tokens:
                    continue
                for name, sizes in operators.items():
                    slots.append(self._layer_slot(f"{at}.{name}", name, sizes, s, stage.widths, (gene, (name,))))

    def _check(self, operators: Operators, widths: tuple[int, ...]) -> None:
        for name, sizes in operators.items():
            for spec in _specs(name, {"dim": widths, **sizes}, [("dim", side) for side in self.sides.values()]):
                check_spec(spec)

    def _options(self, at: str, gene: str, operators: Operators) -> None:
        for name, sizes in operators.items():
            self.choices += [Choice(f"{at}.{name}.{size}", values, (gene, (name,))) for size, values in sizes.items()]

    def _layer_slot(
        self,
        at: str,
        name: str,
        sizes: Sizes,
        s: int,
        widths: tuple[int, ...],
        when: tuple[str, tuple[Any, ...]] | None,
        fixed: Mapping[str, int] | None = None,
    ) -> Slot:
        sides = dict(self.sides)

        def spec_of(resolution: int, dim: int, *values: int) -> OperatorSpec:
            shape = (dim, sides[resolution], sides[resolution])
            return OperatorSpec.of(name, shape, dim=dim, **dict(zip(sizes, values, strict=True)), **(fixed or {}))

        return Slot(at, ("resolution", f"stage{s}.width", *(f"{at}.{size}" for size in sizes)), spec_of, when)


def _specs(name: str, sizes: Sizes, inputs: list[tuple[str, int]]) -> Iterator[OperatorSpec]:
    """Every spec of ``name``; ``inputs`` are (the size that is the input's width, side)."""
    for width, side in dict.fromkeys(inputs):
        for values in itertools.product(*sizes.values()):
            chosen = dict(zip(sizes, values, strict=True))
            yield OperatorSpec.of(name, (chosen[width], side, side), **chosen)


def _frame_spec(
    name: str,
    widths: tuple[str, ...],
    free: tuple[str, ...],
    fixed: Mapping[str, int],
    sides: Mapping[int, int],
    in_channels: int,
) -> Callable[..., OperatorSpec]:
    def spec(resolution: int, *values: int) -> OperatorSpec:
        first = (in_channels,) if widths[0] == "channels" else ()
        sizes = dict(zip((*widths, *free), (*first, *values), strict=True))
        return OperatorSpec.of(name, (sizes[widths[0]], sides[resolution], sides[resolution]), **sizes, **fixed)

    return spec
