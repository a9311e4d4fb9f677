"""The tabular benchmarks' spaces against what the benchmarks store and print."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from search_spaces import SpaceError, Supernet, build_network, cost, get_space, make_space
from search_spaces.spaces import nas_bench_201, nas_bench_macro

DATA = Path(os.environ.get("HYBRID_NAS_DATA", "../shared/data"))


def totals(space, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    parameters = space.additive(lambda spec: cost(spec).parameters).score(rows)
    return parameters, space.additive(lambda spec: cost(spec).macs).score(rows)


@pytest.mark.skipif(not (DATA / "nas_bench_macro_cifar10.csv.gz").exists(), reason="the public tables are not here")
def test_macro_costs_equal_every_stored_one() -> None:
    table = pd.read_csv(DATA / "nas_bench_macro_cifar10.csv.gz", dtype={"arch": str})
    space = get_space("nas-bench-macro")
    rows = np.array([nas_bench_macro.genes_of(text) for text in table.arch])
    assert space.size() == len(table) == 6561
    parameters, macs = totals(space, rows)
    assert (parameters == table.params).all()
    assert (macs == table.flops).all()


def test_macro_costs_equal_two_rows_of_the_table() -> None:
    """Rows of the published table (Su et al., arXiv 2103.11922), for where it is not at hand."""
    rows = np.array([nas_bench_macro.genes_of(text) for text in ("02012100", "11111221")])
    parameters, macs = totals(get_space("nas-bench-macro"), rows)
    assert parameters.tolist() == [890_666, 2_181_386]
    assert macs.tolist() == [47_327_744, 65_012_224]


def published_201(genes: np.ndarray) -> tuple[int, int]:
    """Parameters and MACs of a cell by the benchmark's own construction: C = 16, N = 5, CIFAR-10."""
    parameters, macs = 3 * 16 * 9 + 2 * 16, 3 * 16 * 9 * 32 * 32
    for width, side in ((16, 32), (32, 16), (64, 8)):
        for gene in genes:
            kernel = {2: 1, 3: 9}.get(int(gene))
            if kernel:
                parameters += 5 * (kernel * width * width + 2 * width)
                macs += 5 * kernel * width * width * side * side
        if width > 16:
            half = width // 2
            weights = 9 * half * width + 9 * width * width + half * width
            parameters, macs = parameters + weights + 4 * width, macs + weights * side * side
    return parameters + 2 * 64 + 64 * 10 + 10, macs + 64 * 10


def test_201_costs_equal_the_published_formula() -> None:
    space = get_space("nas-bench-201")
    rows = space.sample(500, np.random.default_rng(0))
    parameters, macs = totals(space, rows)
    wanted = np.array([published_201(row) for row in rows])
    assert (parameters == wanted[:, 0]).all()
    assert (macs == wanted[:, 1]).all()
    assert space.size() == 15_625


def test_201_ends_as_the_benchmark_prints_them() -> None:
    """0.073 and 1.532 M parameters, 7.78 and 220.12 M FLOPs (multiply-adds) in the benchmark's interface."""
    space = get_space("nas-bench-201")
    parameters, macs = totals(space, np.array([[0] * 6, [3] * 6]))
    assert parameters.round(-3).tolist() == [73_000, 1_532_000]
    assert (macs / 1e6).round(2).tolist() == [7.78, 220.12]


def test_201_network_is_the_cell_written_out() -> None:
    """The wiring against a cell computed point by point."""
    space = make_space({"name": "nas-bench-201", "resolutions": [8]})
    architecture = space.architecture(np.array([3, 0, 4, 1, 2, 1]))
    network = build_network(architecture).eval()
    x = torch.randn(2, 3, 8, 8)
    modules = {node.key: module for node, module in zip(architecture.nodes, network, strict=True)}
    with torch.no_grad():
        now = modules["stem"](x)
        for cell in range(1, 16):
            if cell in (6, 11):
                now = modules[f"downsample{cell // 5 + 1}"](now)
            points = [now]
            for b in (1, 2, 3):
                parts = []
                for a in range(b):
                    operation = architecture.values[f"edge{a}{b}"]
                    parts.append(modules[f"cell{cell}.edge{a}{b}.{operation}"](points[a]))
                points.append(sum(parts))
            now = points[3]
        torch.testing.assert_close(network(x), modules["head"](now))


@pytest.mark.parametrize("name", ["nas-bench-201", "nas-bench-macro"])
def test_subnet_equals_extraction(name: str) -> None:
    space = make_space({"name": name, "resolutions": [8]})
    supernet = Supernet(space).eval()
    x = torch.randn(2, 3, 8, 8)
    for row in space.sample(5, np.random.default_rng(1)):
        architecture = space.architecture(row)
        with torch.no_grad():
            torch.testing.assert_close(supernet.subnet(architecture)(x), supernet.extract(architecture)(x))


def test_strings_are_read_and_refused() -> None:
    text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|"
    assert nas_bench_201.genes_of(text) == [3, 0, 4, 1, 2, 1]
    for wrong in ("", "|nor_conv_3x3~0|", text.replace("none", "nothing"), text.replace("~2", "~1")):
        with pytest.raises(SpaceError, match="nas-bench-201"):
            nas_bench_201.genes_of(wrong)
    for wrong in ("0123", "00000003", "abcdefgh"):
        with pytest.raises(SpaceError, match="eight digits"):
            nas_bench_macro.genes_of(wrong)
    with pytest.raises(SpaceError, match="resolutions"):
        make_space({"name": "nas-bench-201", "resolutions": [16, 32]})
