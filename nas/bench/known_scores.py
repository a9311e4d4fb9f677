"""Does an encoder that knows the scores of one task, or of one space, need fewer of another?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.bench.accuracy_predictor import drawn, judged, summary, usable_rows
from nas.bench.tabular import Tabular, read_tabular
from nas.errors import JobError
from nas.progress import Progress
from predictors.ceiling import Ceiling
from predictors.encoder import known_encoder
from predictors.encoding import Features
from predictors.registry import ACCURACY_PREDICTORS, ENCODERS

Floats = NDArray[np.float64]
Known = tuple[Features, NDArray[np.integer], Floats]  # what describes rows, rows (k, G), values (k,)
KNOWN = 1024  # architectures of which they are known, at most


def bench_known_scores(
    table: Tabular,
    target: str,
    known: Mapping[str, Known],
    train: Sequence[int],
    seeds: int,
    predictors: Sequence[str],
    test: int,
    progress: Progress,
) -> pd.DataFrame:
    """The rows of `bench_accuracy_predictors`, twice: as they are, and, called ``NAME from KNOWN``, of encoders that were also
    pre-trained on what is ``known``, by name, of this space or others. Up to `KNOWN` rows are drawn of each; of this space
    none that are among the architectures to be predicted.

    Raises:
        JobError: a predictor has no encoder, or too many architectures are asked for.
    """
    for name in predictors:
        if name not in ENCODERS:
            raise JobError(f"--predictors: got {name!r}; legal with --known: {', '.join(ENCODERS)}")
    values = table.values(target, "--target")
    usable = usable_rows(values, target, train)
    advance, done = progress.task("fit and predict", 2 * len(train) * seeds * len(predictors)), 0
    found, own = [], table.features.definition
    for seed in range(seeds):
        order, held = drawn(usable, seed, train, test)
        away = {row.tobytes() for row in table.codes[held]}
        tasks = [
            (features, *_drawn(rows, scores, away if features.definition == own else set(), seed))
            for features, rows, scores in known.values()
        ]
        encoder = known_encoder(tasks, features=table.features)
        for count in train:
            for name in predictors:
                for started in (False, True):
                    made = ENCODERS[name](table.features, seed, encoder) if started else None
                    predictor = made or ACCURACY_PREDICTORS[name](table.features, seed)
                    predictor.fit(table.codes[order[:count]], values[order[:count]])
                    mean, std = predictor.predict(table.codes[held])
                    label = f"{name} from {','.join(known)}" if started else name
                    facts = {"predictor": label, "target": target, "train": count, "seed": seed}
                    found.append({**facts, **judged(mean, std, values[held])})
                    done += 1
                    advance(done)
    return summary(pd.DataFrame(found), ["predictor", "target", "train"])


def elsewhere(words: Sequence[str], columns: Collection[str] = ()) -> list[str]:
    """Those of ``words`` that name another table (FILE:SPACE:COLUMN): that have a colon and are none of ``columns``."""
    return [word for word in words if ":" in word and word not in columns]


def known_columns(table: Tabular, columns: Sequence[str]) -> dict[str, Known]:
    """What is known of columns of the table: the rows that have a value. JobError where there is no such column."""
    found: dict[str, Known] = {}
    for column in columns:
        values = table.values(column, "--known")
        there = np.isfinite(values)
        found[column] = table.features, table.codes[there], values[there]
    return found


def known_tables(words: Sequence[str]) -> dict[str, Known]:
    """What is known in other tables, each word FILE:SPACE:COLUMN (a COLUMN may have colons), by SPACE:COLUMN.

    Raises:
        JobError: a word is none, its file, space or column is not there, or two words have the same space and column.
    """
    found: dict[str, Known] = {}
    for word in words:
        file, space, column = [*word.split(":", 2), "", ""][:3]
        if not (file and space and column):
            raise JobError(f"--known: got {word!r}; legal: a column of the table, or FILE:SPACE:COLUMN of another")
        if f"{space}:{column}" in found:
            raise JobError(f"--known: got {word!r}; legal: {space}:{column} once")
        try:
            table = read_tabular(Path(file), None, space)
            found[f"{space}:{column}"] = known_columns(table, [column])[column]
        except JobError as error:  # which names --table, --space or --operators, of which none is meant
            raise JobError(f"--known: {word}: {str(error).partition(': ')[2]}") from None
    return found


def _drawn(
    rows: NDArray[np.integer], values: Floats, away: set[bytes], seed: int
) -> tuple[NDArray[np.integer], Floats]:
    """Up to `KNOWN` rows that are not in ``away``, and their values (k, 1), seen from a ceiling."""
    rows = np.ascontiguousarray(rows, np.int64)
    order = np.random.default_rng([seed, 1]).permutation(len(rows))[: 4 * KNOWN]
    kept = [place for place in order if rows[place].tobytes() not in away][:KNOWN]
    if not kept:
        raise JobError("--known: nothing is known of architectures that are not to be predicted; legal: a larger table")
    return rows[kept], Ceiling(values[kept]).forward(values[kept])[:, None]
