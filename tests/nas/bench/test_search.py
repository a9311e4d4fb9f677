"""Searchers on tables: what is asked is in the table, what is reported is true, and other packages join in."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hardware
from nas.bench.search import SearchTask, arena, bench_search
from nas.bench.table_space import TableFeatures, table_space
from nas.bench.tabular import read_tabular
from nas.cli import main
from nas.progress import Silent
from nas.search import pareto, searcher_names

GENES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module", params=["whole", "part"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of three codes in four columns: all 81 rows of it, or 60 and one twice."""
    rng = np.random.default_rng(3)
    codes = np.stack(np.meshgrid(*[np.arange(3)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    weights = rng.random((3, 4, 3))
    sums = [sum(w[g, codes[:, g]] for g in range(4)) for w in weights]
    frame = pd.DataFrame(codes, columns=GENES)
    frame["accuracy"], frame["test"] = sums[0], sums[0] + 0.1 * rng.standard_normal(81)
    frame["ms"], frame["mj"] = sums[1], sums[2]
    if request.param == "part":
        frame = frame.iloc[rng.permutation(81)[:60]]
        frame = pd.concat((frame, frame.iloc[:1]))
    path = tmp_path_factory.mktemp("table") / "table.csv"
    frame.to_csv(path, index=False)
    return path


def test_what_is_bred_stands_in_the_table(file: Path) -> None:
    table = read_tabular(file, GENES, None)
    space, values = table_space("table", GENES, table.codes, table.values("ms", "")[:, None])
    rng = np.random.default_rng(0)
    rows = space.sample(200, rng)
    for found in (rows, space.mutate(rows, rng), space.crossover(rows, rows[::-1], rng), space.neighbours(rows[0])):
        assert np.array_equal(space.rows[space.place(found)], found)
    assert (space.mutate(rows, rng) != rows).any(axis=1).all()
    assert rows[0].tolist() not in space.neighbours(rows[0]).tolist()
    assert len(space.rows) == space.size() == len(np.unique(table.codes, axis=0))
    features = TableFeatures(table.features, space)
    assert np.array_equal(features(rows), table.features(rows.astype(np.int64)))
    assert values.shape == (space.size(), 1)


def test_a_table_of_a_space_of_ours_goes_to_other_processes(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 3, (40, 8))
    frame = pd.DataFrame({"arch": ["".join(map(str, row)) for row in rows], "accuracy": rows.sum(axis=1)})
    frame.to_csv(tmp_path / "macro.csv", index=False)
    table = read_tabular(tmp_path / "macro.csv", None, "nas-bench-macro")
    field = arena(table, SearchTask(("accuracy",), (), None, (10,)))
    again = pickle.loads(pickle.dumps(field))
    assert np.array_equal(again.features(again.space.rows), field.features(field.space.rows))


def test_the_whole_budget_finds_everything_and_more_queries_are_never_worse(file: Path) -> None:
    table = read_tabular(file, GENES, None)
    rows = len(np.unique(table.codes, axis=0))
    names = ["random", "local-search", "regularised-evolution", "nsga2", "nsga3"]
    one = bench_search(table, SearchTask(("accuracy",), (), "test", (10, 30, rows), 8, 3), names, 3, 1, Silent())
    best = table.frame.loc[table.frame["accuracy"].idxmax()]
    last = one[one["budget"] == rows]
    assert np.allclose(last["report_mean"], best["test"])
    assert np.allclose(last["best_mean"], best["accuracy"])
    assert (one["best_mean"].to_numpy().reshape(-1, 3) == np.sort(one["best_mean"].to_numpy().reshape(-1, 3))).all()
    many = bench_search(
        table, SearchTask(("accuracy",), ("ms", "mj"), None, (10, 30, rows), 8, 3), names, 2, 1, Silent()
    )
    shares = many["missing_hypervolume_mean"].to_numpy().reshape(-1, 3)
    assert (np.diff(shares, axis=1) <= 0).all()
    assert np.allclose(shares[:, -1], 0)
    assert (shares[:, 0] > 0).all()


def test_guided_search_finds_the_best_row_before_random_search_does(file: Path) -> None:
    table = read_tabular(file, GENES, None)
    task = SearchTask((), ("ms",), None, (30,), 10, 10)
    rows = bench_search(table, task, ["random", "predictor-nsga2"], 2, 1, Silent()).set_index("searcher")["best_mean"]
    assert rows["predictor-nsga2"] < rows["random"]
    assert rows["predictor-nsga2"] == pytest.approx(table.values("ms", "").min(), abs=0.02)


def test_searchers_of_other_packages_are_judged_alike(file: Path) -> None:
    pytest.importorskip("pymoo", reason="pymoo is not installed")
    table = read_tabular(file, GENES, None)
    names = ["pymoo-nsga2", "optuna-nsga2", "optuna-tpe"]
    rows = bench_search(table, SearchTask(("accuracy",), ("ms",), None, (10, 40), 8), names, 1, 1, Silent())
    shares = rows["missing_hypervolume_mean"].to_numpy().reshape(-1, 2)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert (shares[:, 1] <= shares[:, 0]).all()


@pytest.mark.parametrize("file", ["part"], indirect=True)
def test_json_has_the_rows_and_workers_change_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "search", "--table", str(file), "--genes", ",".join(GENES), "--maximize", "accuracy"]
    arguments += ["--minimize", "ms", "--budget", "10,20", "--seeds", "2", "--searchers", "random,nsga2", "--json"]
    picture = file.parent / "rows.png"
    arguments += ["--out", str(file.parent / "rows.csv"), "--plot", str(picture)]
    found = []
    for workers in ("1", "2"):
        assert main([*arguments, "--workers", workers]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert {"searcher", "budget", "missing_hypervolume_mean", "missing_hypervolume_std"} <= set(found[0]["rows"][0])
    assert [row["budget"] for row in found[0]["rows"]] == [10, 20, 10, 20]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--maximize": "acuracy"}, "--maximize: got 'acuracy'; legal: 'accuracy' (did you mean it?)"),
        ({"--searchers": "annealing"}, "--searchers: got 'annealing'; legal: " + ", ".join(searcher_names())),
        ({"--budget": "1000"}, "--budget: got 1000; legal: at most the"),
        ({"--budget": "ten"}, "--budget: got 'ten'; legal: whole numbers"),
        ({"--genes": "a,x"}, "--genes: got 'x'"),
        ({"--minimize": "ms", "--report": "test"}, "--report: is for one objective"),
        ({"--maximize": ""}, "--maximize: is missing"),
    ],
)
def test_wrong_arguments_are_named(
    file: Path, changes: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"--table": str(file), "--genes": "a,b,c,d", "--maximize": "accuracy", "--budget": "10"} | changes
    assert main(["bench", "search", *(word for pair in arguments.items() for word in pair)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_engine_counts_candidates(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.bench.engine.SECONDS", 0.05)
    small = ["--genes", "6", "--choices", "3", "--population", "20", "--generations", "3"]
    assert main(["bench", "engine", *small, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["score_per_s"] > found["nsga2_per_s"] > 0


def test_hypervolume_is_that_of_the_table(file: Path) -> None:
    table = read_tabular(file, GENES, None)
    F = np.column_stack((-table.values("accuracy", ""), table.values("ms", "")))
    scaled = (F - F.min(axis=0)) / np.ptp(F, axis=0)
    task = SearchTask(("accuracy",), ("ms",), None, (15,), 8, 3)
    share = bench_search(table, task, ["random"], 1, 1, Silent())["missing_hypervolume_mean"][0]
    from nas.search import Problem, drive

    field = arena(table, task)
    asked = drive(Problem(field.space, 15, 8, ("x", "y"), batch=3), "random", lambda X: field.F[field.space.place(X)])
    reached = (asked.F - F.min(axis=0)) / np.ptp(F, axis=0)
    expected = 1 - pareto.hypervolume(reached, (1, 1)) / pareto.hypervolume(scaled, (1, 1))
    assert share == pytest.approx(expected)


def test_limits_are_answered_with_what_comes_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(hardware.__file__).parent / "tables" / "hybrid-vision-tiny" / "amd-epyc"
    tables = [str(folder / name) for name in ("onnxruntime-fp32", "openvino-fp32")]
    assert main(["bench", "constraints", *tables, "--cases", "3", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["kind"] for row in rows] == ["impossible", "contradictory", "borderline"]
    assert all(row["answer"].startswith("max_") for row in rows[:1])
    assert all(row["answer"] == "feasible" for row in rows[2:])
    assert max(row["over"] for row in rows) < 0.02
    assert main(["bench", "constraints", tables[0]]) == 2
    assert "TABLES: got 1; legal: two or more" in " ".join(capsys.readouterr().err.split())
