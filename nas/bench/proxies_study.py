"""The study of zero-cost proxies as files: all values, the correlations, and a picture of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.errors import JobError
from nas.files import write_atomically

Found = Mapping[str, tuple[list[dict[str, Any]], pd.DataFrame]]  # what the networks are -> correlations, values
COLOURS = ("#0072b2", "#d55e00")


def write_study(found: Found, out: Path) -> None:
    """Writes KIND.csv (values) and correlations-KIND.csv for each kind of networks, and ``proxies.png``, to the folder ``out``.

    Raises:
        JobError: matplotlib is not installed.
    """
    out.mkdir(parents=True, exist_ok=True)
    for kind, (rows, values) in found.items():
        kept = [column for column in values if not str(column).endswith("_seconds")]
        write_atomically(out / f"{kind}.csv", values[kept].to_csv(index=False, float_format="%.8g").encode())
        summary = pd.DataFrame(rows)
        write_atomically(out / f"correlations-{kind}.csv", summary.round(4).to_csv(index=False).encode())
    write_atomically(out / "proxies.png", _picture(found))


def _picture(found: Found) -> bytes:
    """Spearman's correlations with accuracy, and where there are stored proxies with these too."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise JobError('--out: needs matplotlib; install it with: pip install "hybrid-nas[dev]"') from error
    figure = Figure(figsize=(5.2 * len(found), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (kind, (rows, _)) in zip(np.atleast_1d(figure.subplots(1, len(found))), found.items(), strict=True):
        rows = sorted(rows, key=lambda row: row["accuracy"])
        for shift, (key, title) in enumerate((("accuracy", "with accuracy"), ("stored", "with the stored proxy"))):
            shown = [(place, row) for place, row in enumerate(rows) if np.isfinite(row.get(key, np.nan))]
            if not shown:
                continue
            middle = np.array([row[key] for _, row in shown])
            ends = np.array([[row[f"{key}_low"], row[f"{key}_high"]] for _, row in shown]).T
            spread = np.abs(ends - middle).tolist()
            at = [place + 0.18 * (1 - 2 * shift) for place, _ in shown]
            axes.errorbar(middle, at, xerr=spread, fmt="o", color=COLOURS[shift], label=title, capsize=2)
        axes.set_yticks(range(len(rows)), [row["proxy"] for row in rows])
        axes.axvline(0, color="grey", linewidth=0.8)
        axes.set_xlabel("Spearman's rank correlation, 95 % interval")
        axes.set_title(f"{max(row['networks'] for row in rows)} {kind}")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
