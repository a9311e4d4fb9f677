"""`hybrid-vision`: image networks in which every layer chooses its operator from convolution, attention, state space and
the families between them. Its presets are pyramids; see `search_spaces.spaces.pyramid` for their shape."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from search_spaces.build import check_spec
from search_spaces.errors import SpaceError
from search_spaces.operators import get_operator, operator_names
from search_spaces.space import SearchSpace
from search_spaces.spaces.arguments import ascending, chosen_names, count, offered
from search_spaces.spaces.pyramid import Operators, Pyramid, Stage
from search_spaces.spec import OperatorSpec

LINEAR = ("mbconv", "convnext", "short_conv", "relu_attention", "nc_ssd", "ssd", "gated_conv", "identity")
MIXERS = (*LINEAR, "mhsa")
CHANNEL_MIXERS = ("mlp", "gated_mlp")
DOWNSAMPLES = (
    "strided_conv",
    "patch_merging",
    "average_pool_downsample",
    "max_pool_downsample",
    "residual_reduction",
    "cross_scale_downsample",
)
POSITIONS = ("no_position", "peg", "position_table", "sincos_position")


def deployable(role: str) -> tuple[str, ...]:
    """The image operators of a role that run in every deployment runtime and on images of every side."""
    return tuple(n for n in operator_names(role, "image") if not get_operator(n).not_deployable and _takes_any_side(n))


def _takes_any_side(name: str) -> bool:
    sizes = offered((name,))[name]
    try:
        for side, values in itertools.product((3, 4, 9, 16), itertools.product(*sizes.values())):
            check_spec(OperatorSpec.of(name, (16, side, side), dim=16, **dict(zip(sizes, values, strict=True))))
    except SpaceError:
        return False
    return True


@dataclass(frozen=True)
class Preset:
    """``stages`` for given mixers, the ``mixers`` there are, ``frame`` (stems, down-samplings, positions) for the stem's
    ``stride``, which follows from the largest resolution, and the usual inputs."""

    stages: Callable[[tuple[str, ...]], tuple[Stage, ...]]
    mixers: Callable[[], tuple[str, ...]]
    frame: Callable[[int], tuple[Operators, Operators, Operators]]
    stride: Callable[[int], int]
    resolutions: tuple[int, ...]
    legal: tuple[int, int]
    classes: int


def _stage(
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    heads: tuple[int, ...],
    head_dims: tuple[int, ...],
    states: tuple[int, ...],
    mixers: tuple[str, ...],
) -> Stage:
    chosen = offered(mixers, heads=heads, head_dim=head_dims, state=states)
    return Stage(widths, depths, chosen, offered(CHANNEL_MIXERS))


def _plain_frame(stride: int) -> tuple[Operators, Operators, Operators]:
    return {"conv_stem": {"stride": (stride,)}}, {"strided_conv": {}}, {}


def _full_frame(stride: int) -> tuple[Operators, Operators, Operators]:
    stems = offered(("conv_stem", "overlap_stem", "cross_scale_stem"), stride=(stride,))
    if stride == 2:
        stems |= offered(("patch_stem", "conv_pool_stem"), patch=(2,), layers=(1,))
    return stems, offered(DOWNSAMPLES), offered(POSITIONS)


def _tiny(mixers: tuple[str, ...]) -> tuple[Stage, ...]:
    return (
        _stage((16, 24, 32), (1, 2), (1, 2, 4), (8, 16), (8, 16), mixers),
        _stage((32, 48, 64), (1, 2, 3), (2, 4, 6), (8, 16), (8, 16), mixers),
        _stage((64, 96, 128), (1, 2, 3), (2, 4, 8), (8, 16), (8, 16), mixers),
    )


def _mobile(mixers: tuple[str, ...]) -> tuple[Stage, ...]:
    early = tuple(name for name in mixers if name in LINEAR) or mixers  # attention over 56x56 tokens costs too much
    return (
        _stage((24, 32, 40), (1, 2, 3), (1, 2, 3), (16, 32), (16, 32), early),
        _stage((48, 64, 80), (1, 2, 3), (2, 3, 4), (16, 32), (16, 32), early),
        _stage((96, 128, 160), (2, 4, 6), (4, 6, 8), (16, 32), (16, 32, 64), mixers),
        _stage((192, 256, 320), (1, 2, 3), (6, 8, 12), (16, 32), (16, 32, 64), mixers),
    )


def _full(mixers: tuple[str, ...]) -> tuple[Stage, ...]:
    channel_mixers = offered(deployable("channel_mixer"))
    shapes = (((16, 24, 32), (1, 2)), ((32, 48, 64), (1, 2, 3)), ((64, 96, 128), (1, 2, 3)))
    return tuple(Stage(widths, depths, offered(mixers), channel_mixers) for widths, depths in shapes)


PRESETS = {
    "full": Preset(
        _full, lambda: deployable("mixer"), _full_frame, lambda side: 1 if side <= 16 else 2, (16, 24, 32), (8, 32), 10
    ),
    "tiny": Preset(_tiny, lambda: MIXERS, _plain_frame, lambda side: 1 if side <= 16 else 2, (16, 24, 32), (8, 32), 10),
    "mobile": Preset(_mobile, lambda: MIXERS, _plain_frame, lambda side: 4, (160, 192, 224), (64, 512), 1000),
}


def make(
    preset: Any = "tiny",
    resolutions: Any = None,
    in_channels: Any = None,
    classes: Any = None,
    mixers: Any = None,
    **unknown: Any,
) -> SearchSpace:
    """The space ``hybrid-vision`` with one of its presets.

    Args:
        preset: ``tiny`` (3 stages, 8 to 32 pixels, nine mixers of the main families), ``full`` (the same stages with every
            operator that deploys) or ``mobile`` (4 stages, 224 pixels).
        resolutions: ascending sides of the square input to choose from.
        in_channels: of the images.
        classes: to tell apart.
        mixers: names of the preset's mixers to choose from; all by default.

    Raises:
        SpaceError: an argument is unknown or illegal; the message names it and the legal values.
    """
    if unknown:
        legal = "name, preset, resolutions, in_channels, classes, mixers"
        raise SpaceError(f"space: unknown key {sorted(unknown)[0]!r}; legal: {legal}")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SpaceError(f"space: preset: got {preset!r}; legal: {', '.join(PRESETS)}")
    base = PRESETS[preset]
    resolutions = ascending("resolutions", list(base.resolutions) if resolutions is None else resolutions, *base.legal)
    in_channels = count("in_channels", in_channels, 3, 1)
    classes = count("classes", classes, base.classes, 2)
    stems, downsamples, positions = base.frame(base.stride(resolutions[-1]))
    names = base.mixers() if mixers is None else chosen_names("mixers", mixers, base.mixers())
    pyramid = Pyramid(base.stages(names), resolutions, in_channels, classes, stems, downsamples, positions)
    return pyramid.space(
        f"hybrid-vision/{preset}",
        {
            "name": "hybrid-vision",
            "preset": preset,
            "resolutions": list(resolutions),
            "in_channels": in_channels,
            "classes": classes,
            # the mixers of "full" grow with the registry: a stored architecture must find the ones it was made with
            **({"mixers": list(names)} if mixers is not None or preset == "full" else {}),
        },
    )
