"""Window attention, shifted or not, and full attention with the same table of relative positions."""

from __future__ import annotations

from search_spaces.operators.attention_parts import TableAttention
from search_spaces.operators.groups import Grouping, whole, windows
from search_spaces.operators.legal import flag
from search_spaces.operators.registry import register


@register
class WindowAttention(TableAttention):
    """Attention within windows, with a table of relative positions (Liu et al., Swin, arXiv 2103.14030).

    Shifted windows are those of the paper: what the border cuts apart does not see each other. An image that the window
    does not divide is padded and the padding hidden; a window larger than the image is the image.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        window: side of a window.
        shift: 1 to move the windows by half their side, 0 not to.
    """

    name = "window_attention"
    elastic = {**TableAttention.elastic, "window": (4, 7), "shift": (0, 1)}

    def __init__(self, dim: int, heads: int, head_dim: int, window: int, shift: int) -> None:
        super().__init__(dim, heads, head_dim, window - 1, window=window, shift=shift)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        flag(cls, shift=sizes.pop("shift"))
        super().check(shape, **sizes)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "span": 2 * sizes["window"] - 1}

    @classmethod
    def grouping(cls, height: int, width: int, **sizes: int) -> Grouping:
        return windows(height, width, sizes["window"], sizes["shift"])


@register
class RelativeAttention(TableAttention):
    """Softmax attention over the whole image with a table of relative positions (Bello et al., arXiv 1904.09925; as a bias in
    Swin, arXiv 2103.14030). Offsets beyond ``reach`` count as ``reach`` (Shaw et al., arXiv 1803.02155), so it works at
    any resolution.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        reach: rows and columns up to which positions are told apart.
    """

    name = "mhsa_relative"
    elastic = {**TableAttention.elastic, "reach": (3, 7, 13)}

    def __init__(self, dim: int, heads: int, head_dim: int, reach: int) -> None:
        super().__init__(dim, heads, head_dim, reach)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "span": 2 * sizes["reach"] + 1}

    @classmethod
    def grouping(cls, height: int, width: int, **sizes: int) -> Grouping:
        return whole(height, width)
