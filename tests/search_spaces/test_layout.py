"""Slicing by layout against explicit index lists."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import SpaceError
from search_spaces.layout import layout_shape, parse_layout, slice_view


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.data())
def test_grouped_rows_are_cut_by_head_and_within_a_head(heads: int, head_dim: int, dim: int, data) -> None:
    h, d, c = (data.draw(st.integers(1, n)) for n in (heads, head_dim, dim))
    full = torch.arange(3 * heads * head_dim * dim).view(3 * heads * head_dim, dim)
    layout = "(3 heads head_dim) dim"
    large, small = {"heads": heads, "head_dim": head_dim, "dim": dim}, {"heads": h, "head_dim": d, "dim": c}
    rows = [(part * heads + i) * head_dim + j for part in range(3) for i in range(h) for j in range(d)]
    view = slice_view(full, layout, large, small)
    assert view.data_ptr() == full.data_ptr() or view.numel() == 0
    assert torch.equal(view.reshape(layout_shape(layout, small)), full[rows][:, :c])


@pytest.mark.parametrize(("anchor", "wanted"), [("", [0, 1, 2]), ("@centre", [2, 3, 4]), ("@last", [4, 5, 6])])
def test_anchors(anchor: str, wanted: list[int]) -> None:
    full = torch.arange(7)
    assert slice_view(full, f"kernel{anchor}", {"kernel": 7}, {"kernel": 3}).tolist() == wanted


@pytest.mark.parametrize("layout", ["(a", "a)", "((a) b)", "()", "a-b", "k@middle"])
def test_malformed_layouts_are_refused(layout: str) -> None:
    with pytest.raises(SpaceError, match="layout"):
        parse_layout(layout)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SpaceError, match="cannot be cut to 9"):
        slice_view(torch.zeros(7), "k", {"k": 7}, {"k": 9})
    with pytest.raises(SpaceError, match="cannot be cut to 4"):
        slice_view(torch.zeros(7), "k@centre", {"k": 7}, {"k": 4})
    with pytest.raises(SpaceError, match="no length"):
        layout_shape("a b", {"a": 1})
