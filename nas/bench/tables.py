"""How well a latency table predicts whole networks, beside what people do instead with the same measurements."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from sklearn.ensemble import RandomForestRegressor

from hardware.table import LatencyTable
from nas.errors import JobError
from predictors import LatencyPredictor
from predictors.features import ArchitectureFeatures
from search_spaces import Architecture, cost, make_space

Floats = NDArray[np.float64]


def compare(table: LatencyTable) -> pd.DataFrame:
    """One row a method on the table's "validate" networks: mape, within_5, within_10, spearman, kendall.

    The methods: the table with its correction; the plain sum of the operators; a line through MACs, a line through
    parameters, and a random forest on features of the architecture, each fitted on the table's "fit" networks alone: as many
    whole-network measurements as the table's correction had. Lines are fitted to relative errors.

    Raises:
        JobError: the table has no space, or no networks of either role.
    """
    if table.header["space"] is None:
        raise JobError("table: names no space; legal: a table that `nas profile` measured")
    space = make_space(table.header["space"])
    predictor = LatencyPredictor(space, table)  # says so first if the table is of another release
    fit, fit_ms = _networks(table, "fit")
    validate, ms = _networks(table, "validate")
    if not fit or not validate:
        raise JobError(f"table: has {len(fit)} fit and {len(validate)} validate networks; legal: some of both")
    features = ArchitectureFeatures(space)
    forest = RandomForestRegressor(300, random_state=0).fit(features(space.matrix(fit)), np.log(fit_ms))
    found = {
        "table": predictor.ms(space.matrix(validate)),
        "plain sum": np.array([sum(predictor.operator_ms(spec) for spec in a.specs) for a in validate]),
        "MACs": _line(_total(fit, "macs"), fit_ms)(_total(validate, "macs")),
        "parameters": _line(_total(fit, "parameters"), fit_ms)(_total(validate, "parameters")),
        "random forest": np.exp(forest.predict(features(space.matrix(validate)))),
    }
    return pd.DataFrame([{"method": name, **scores(predicted, ms)} for name, predicted in found.items()])


def scores(predicted: Floats, ms: Floats) -> dict[str, float]:
    """mape, within_5, within_10 (fractions), spearman, kendall of predictions (n,) of latencies (n,)."""
    error = np.abs(predicted / ms - 1)
    return {
        "mape": float(error.mean()),
        "within_5": float((error <= 0.05).mean()),
        "within_10": float((error <= 0.1).mean()),
        "spearman": float(spearmanr(predicted, ms)[0]),
        "kendall": float(kendalltau(predicted, ms)[0]),
    }


def facts(table: LatencyTable) -> dict[str, Any]:
    """What the figures of `compare` belong to: runtime, precision, threads, batch, mode, noise floor, probes, minutes."""
    header = table.header
    fit = table.networks["role"] == "fit"
    return {
        "device": header["device"]["name"],
        "runtime": header["runtime"],
        "precision": header["precision"],
        "threads": header["threads"],
        "batch": header["batch"],
        "mode": header.get("mode", "forward"),
        "noise_floor": header["noise_floor"],
        "operators": len(table.operators),
        "fit": int(fit.sum()),
        "validate": int((~fit).sum()),
        "minutes": round(header["seconds"] / 60, 1),
        "warnings": header["conditions"].get("warnings", []),
    }


def write_comparison(tables: Mapping[str, LatencyTable], out: Path | None) -> list[dict[str, Any]]:
    """The rows of `compare` for every table, with its `facts`; as ``methods.csv`` and ``methods.md`` in ``out`` if given."""
    frames = [compare(table).assign(table=name, **_flat(facts(table))) for name, table in tables.items()]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame[["table", *(column for column in frame if column != "table")]]
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        frame.round(4).to_csv(out / "methods.csv", index=False)
        (out / "methods.md").write_text(_markdown(frame))
    return json.loads(frame.to_json(orient="records"))  # type: ignore[no-any-return]


def _flat(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "warnings": "; ".join(found["warnings"])}


def _markdown(frame: pd.DataFrame) -> str:
    lines = [
        "| table | noise floor | probes | minutes | method | MAPE | within 5 % | within 10 % | Spearman | Kendall |"
    ]
    lines.append("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for row in frame.to_dict("records"):
        floor = "–" if row["noise_floor"] is None else f"{row['noise_floor']:.1%}"
        probes = f"{row['operators']} + {row['fit']}"
        shares = " | ".join(f"{row[name]:.1%}" for name in ("mape", "within_5", "within_10"))
        ranks = f"{row['spearman']:.3f} | {row['kendall']:.3f}"
        lines.append(
            f"| {row['table']} | {floor} | {probes} | {row['minutes']} | {row['method']} | {shares} | {ranks} |"
        )
    return "\n".join(lines) + "\n"


def _networks(table: LatencyTable, role: str) -> tuple[list[Architecture], Floats]:
    rows = table.networks[table.networks["role"] == role]
    return Architecture.from_lines(rows["key"]), np.asarray(rows["median_ms"], dtype=np.float64)


def _total(networks: list[Architecture], figure: str) -> Floats:
    return np.array([sum(getattr(cost(spec), figure) for spec in a.specs) for a in networks], dtype=np.float64)


def _line(x: Floats, ms: Floats) -> Callable[[Floats], Floats]:
    columns = np.column_stack((np.ones_like(x), x / x.mean()))
    found = np.linalg.lstsq(columns / ms[:, None], np.ones_like(ms), rcond=None)[0]
    return lambda new: np.maximum(np.column_stack((np.ones_like(new), new / x.mean())) @ found, 1e-6)
