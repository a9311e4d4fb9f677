"""`hybrid-vision`: image networks in which every layer chooses its operator from convolution, attention and state space.

    stem -> stage 1 (layers) -> down-sampling -> stage 2 (layers) -> ... -> pooled head

A layer is one mixer; token mixers are followed by a channel mixer, while MBConv and ConvNeXt blocks mix channels
themselves. Widths are chosen per stage, so an operator's type never changes the shapes around it. Every (layer, mixer
type) has weights of its own; stem, down-sampling, channel mixers and head are shared by all architectures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.operators.frame import halved
from search_spaces.space import Choice, SearchSpace, Slot
from search_spaces.spec import OperatorSpec

BLOCKS = ("mbconv", "convnext")  # mix channels themselves
LINEAR = ("mbconv", "convnext", "short_conv", "relu_attention", "nc_ssd", "ssd", "gated_conv", "identity")
MIXERS = (*LINEAR, "mhsa")
CHANNEL_MIXERS = {"mlp": {"ratio": (2, 3, 4)}, "gated_mlp": {"ratio": (1, 2, 3)}}


@dataclass(frozen=True)
class Stage:
    """Legal widths, depths, heads, channels of a head, state sizes and mixers of one stage."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    head_dims: tuple[int, ...]
    states: tuple[int, ...]
    mixers: tuple[str, ...] = MIXERS

    def sizes(self, mixer: str) -> dict[str, tuple[int, ...]]:
        """The elastic sizes of ``mixer`` in this stage, besides its width."""
        heads = {"heads": self.heads, "head_dim": self.head_dims}
        sizes: dict[str, dict[str, tuple[int, ...]]] = {
            "mbconv": {"expansion": (2, 4, 6), "kernel": (3, 5, 7), "se": (0, 1)},
            "convnext": {"expansion": (2, 3, 4), "kernel": (3, 5, 7)},
            "short_conv": {"expansion": (1, 2), "kernel": (3, 5, 7)},
            "mhsa": heads,
            "relu_attention": heads,
            "nc_ssd": {**heads, "state": self.states},
            "ssd": {**heads, "state": self.states},
            "gated_conv": heads,
            "identity": {},
        }
        return sizes[mixer]


@dataclass(frozen=True)
class Preset:
    """Stages and usual inputs of a preset; ``stride`` of the stem from the largest resolution."""

    stages: tuple[Stage, ...]
    resolutions: tuple[int, ...]
    legal: tuple[int, int]
    stride: Callable[[int], int]
    channels: int
    classes: int


PRESETS = {
    "tiny": Preset(
        stages=(
            Stage((16, 24, 32), (1, 2), (1, 2, 4), (8, 16), (8, 16)),
            Stage((32, 48, 64), (1, 2, 3), (2, 4, 6), (8, 16), (8, 16)),
            Stage((64, 96, 128), (1, 2, 3), (2, 4, 8), (8, 16), (8, 16)),
        ),
        resolutions=(16, 24, 32),
        legal=(8, 32),
        stride=lambda resolution: 1 if resolution <= 16 else 2,
        channels=3,
        classes=10,
    ),
    "mobile": Preset(
        stages=(
            Stage((24, 32, 40), (1, 2, 3), (1, 2, 3), (16, 32), (16, 32), LINEAR),
            Stage((48, 64, 80), (1, 2, 3), (2, 3, 4), (16, 32), (16, 32), LINEAR),
            Stage((96, 128, 160), (2, 4, 6), (4, 6, 8), (16, 32), (16, 32, 64)),
            Stage((192, 256, 320), (1, 2, 3), (6, 8, 12), (16, 32), (16, 32, 64)),
        ),
        resolutions=(160, 192, 224),
        legal=(64, 512),
        stride=lambda resolution: 4,
        channels=3,
        classes=1000,
    ),
}


def make(
    preset: Any = "tiny", resolutions: Any = None, in_channels: Any = None, classes: Any = None, **unknown: Any
) -> SearchSpace:
    """The space ``hybrid-vision`` with one of its presets.

    Args:
        preset: ``tiny`` (3 stages, 8 to 32 pixels) or ``mobile`` (4 stages, 224 pixels).
        resolutions: ascending sides of the square input to choose from.
        in_channels: of the images.
        classes: to tell apart.

    Raises:
        SpaceError: an argument is unknown or illegal; the message names it and the legal values.
    """
    if unknown:
        legal = "name, preset, resolutions, in_channels, classes"
        raise SpaceError(f"space: unknown key {sorted(unknown)[0]!r}; legal: {legal}")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SpaceError(f"space: preset: got {preset!r}; legal: {', '.join(PRESETS)}")
    base = PRESETS[preset]
    resolutions = list(base.resolutions) if resolutions is None else resolutions
    low, high = base.legal
    if not _ascending(resolutions, low, high):
        raise SpaceError(f"space: resolutions: got {resolutions!r}; legal: ascending integers from {low} to {high}")
    in_channels = _count("in_channels", in_channels, base.channels, 1)
    classes = _count("classes", classes, base.classes, 2)
    return SearchSpace(
        f"hybrid-vision/{preset}",
        {
            "name": "hybrid-vision",
            "preset": preset,
            "resolutions": list(resolutions),
            "in_channels": in_channels,
            "classes": classes,
        },
        _choices(base, tuple(resolutions)),
        _slots(base, base.stride(resolutions[-1]), in_channels, classes),
    )


def _ascending(values: Any, low: int, high: int) -> bool:
    if not isinstance(values, list | tuple) or not values or not all(type(v) is int for v in values):
        return False
    return list(values) == sorted(set(values)) and low <= values[0] and values[-1] <= high


def _count(name: str, value: Any, default: int, least: int) -> int:
    value = default if value is None else value
    if type(value) is not int or not least <= value <= 100_000:
        raise SpaceError(f"space: {name}: got {value!r}; legal: an integer from {least} to 100000")
    return value


def _choices(preset: Preset, resolutions: tuple[int, ...]) -> list[Choice]:
    choices = [Choice("resolution", resolutions)]
    for s, stage in enumerate(preset.stages, 1):
        choices += [Choice(f"stage{s}.width", stage.widths), Choice(f"stage{s}.depth", stage.depths)]
        for layer in range(1, stage.depths[-1] + 1):
            at = f"stage{s}.layer{layer}"
            mixer = f"{at}.mixer"
            choices.append(
                Choice(mixer, stage.mixers, (f"stage{s}.depth", tuple(d for d in stage.depths if d >= layer)))
            )
            for name in stage.mixers:
                choices += [Choice(f"{at}.{name}.{z}", v, (mixer, (name,))) for z, v in stage.sizes(name).items()]
            tokens = tuple(name for name in stage.mixers if name not in BLOCKS)
            choices.append(Choice(f"{at}.channel_mixer", tuple(CHANNEL_MIXERS), (mixer, tokens)))
            for name, sizes in CHANNEL_MIXERS.items():
                choices += [Choice(f"{at}.{name}.{z}", v, (f"{at}.channel_mixer", (name,))) for z, v in sizes.items()]
    return choices


def _side(resolution: int, halvings: int) -> int:
    for _ in range(halvings):
        resolution = halved(resolution)
    return resolution


def _slots(preset: Preset, stride: int, in_channels: int, classes: int) -> list[Slot]:
    first = {1: 0, 2: 1, 4: 2}[stride]  # halvings before stage 1

    def stem(resolution: int, dim: int) -> OperatorSpec:
        shape = (in_channels, resolution, resolution)
        return OperatorSpec.of("conv_stem", shape, channels=in_channels, dim=dim, stride=stride)

    slots = [Slot("stem", ("resolution", "stage1.width"), stem)]
    for s, stage in enumerate(preset.stages, 1):
        if s > 1:
            widths = ("resolution", f"stage{s - 1}.width", f"stage{s}.width")
            slots.append(Slot(f"downsample{s}", widths, _downsample(first + s - 2)))
        for layer in range(1, stage.depths[-1] + 1):
            at = f"stage{s}.layer{layer}"
            mixers = {name: stage.sizes(name) for name in stage.mixers}
            for gene, operators in ((f"{at}.mixer", mixers), (f"{at}.channel_mixer", CHANNEL_MIXERS)):
                for name, sizes in operators.items():
                    genes = ("resolution", f"stage{s}.width", *(f"{at}.{name}.{size}" for size in sizes))
                    slots.append(
                        Slot(f"{at}.{name}", genes, _operator(name, tuple(sizes), first + s - 1), (gene, (name,)))
                    )
    last = len(preset.stages)

    def head(resolution: int, dim: int) -> OperatorSpec:
        side = _side(resolution, first + last - 1)
        return OperatorSpec.of("pooled_head", (dim, side, side), dim=dim, classes=classes)

    return [*slots, Slot("head", ("resolution", f"stage{last}.width"), head)]


def _downsample(halvings: int) -> Callable[..., OperatorSpec]:
    def spec(resolution: int, dim_in: int, dim_out: int) -> OperatorSpec:
        side = _side(resolution, halvings)
        return OperatorSpec.of("strided_conv", (dim_in, side, side), dim_in=dim_in, dim_out=dim_out)

    return spec


def _operator(name: str, sizes: tuple[str, ...], halvings: int) -> Callable[..., OperatorSpec]:
    def spec(resolution: int, dim: int, *values: int) -> OperatorSpec:
        side = _side(resolution, halvings)
        return OperatorSpec.of(name, (dim, side, side), dim=dim, **dict(zip(sizes, values, strict=True)))

    return spec
