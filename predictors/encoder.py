"""Accuracy from an encoder of operators, which was trained on what is free before it sees a score."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from predictors.ceiling import Ceiling
from predictors.encoder_network import KNOWN, Encoder
from predictors.encoder_training import Members, Task, embed, pretrain
from predictors.encoding import Features, features_from
from predictors.errors import PredictorError
from predictors.learners import STACK
from predictors.scaling import FeatureScale
from predictors.stack import Stack
from predictors.storage import read_fitted, write_fitted
from predictors.threads import one_thread
from predictors.tokens import tokens_from

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]
KIND, ENCODER = "encoder-accuracy", "encoder"  # of its files
MEMBERS = 5  # networks, each of which leaves out a part of the rows
FOLDS = 8  # of the learners that they are weighed with
RANDOM = 1024  # architectures that it is pre-trained on
CHUNK = 4096  # rows predicted at once
OWN = ("network", "process", "ridge")  # the last two on the encoder's embedding


class EncoderPredictor:
    """A sequence and graph encoder over operators (`Tokens`, `Encoder`), with a standard deviation.

    The encoder is pre-trained on costs and features of random architectures, which are free (as in FBNetV3, Dai et al.,
    CVPR 2021, arXiv 2006.02049), then copies of it are tuned to scores, seen from a ceiling (`Ceiling`), by a squared and a
    ranking loss, each with a part of the rows left out. They are weighed with other learners by what they guess of those
    (`Stack`). Deterministic for given rows, scores, seed and encoder.

    Args:
        features: see `features_of`; its definition says what the tokens are.
        seed: of the parts, the batches and the trees.
        joined: weigh the networks with the learners of `AccuracyPredictor` on the features, not with a process and a line on
            the encoder's embedding.
        encoder: where the networks start, e.g. `known_encoder` or one of another space; pre-trained if none.
    """

    def __init__(self, features: Features, seed: int = 0, joined: bool = False, encoder: Encoder | None = None) -> None:
        self._features, self._seed, self._joined = features, seed, joined
        self._tokens = tokens_from(features.definition)
        self._given = encoder
        self._stack: Stack | None = None

    @one_thread
    def fit(self, X: Rows, y: Floats) -> EncoderPredictor:
        """Learn from rows (n, G) and scores (n,), larger ones better, n >= 2. PredictorError otherwise."""
        X, y = np.asarray(X), np.asarray(y, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self._features.columns or len(X) < 2:
            raise PredictorError(f"X: expected 2 or more rows of {self._features.columns} genes, got shape {X.shape}")
        if y.shape != (len(X),) or not np.isfinite(y).all():
            raise PredictorError(f"y: expected {len(X)} finite scores, one a row, got shape {y.shape}")
        self._seen = X, y
        self._encoder = self._given or free_encoder(json.dumps(self._features.definition, sort_keys=True))
        self._ceiling = Ceiling(y)
        target = self._ceiling.forward(y)
        part = np.random.default_rng([self._seed, 5]).permutation(len(y)) % min(MEMBERS, len(y))
        seen = [np.flatnonzero(part != number) for number in range(part.max() + 1)]
        self._members = Members(self._encoder, self._tokens, self._seed).fit(X, target, seen)
        left = self._members.predict(X)[part, np.arange(len(y))]
        F, near = self._described(X)
        self._scaled = FeatureScale(near, self._features.genes if self._joined else 0)
        names = ("network", *STACK) if self._joined else OWN
        self._stack = Stack(self._seed, names, FOLDS).fit(np.column_stack((F, left)), self._scaled(near), target)
        return self

    @one_thread
    def predict(self, X: Rows) -> tuple[Floats, Floats]:
        """Mean (n,) and standard deviation (n,) of the scores of rows (n, G). PredictorError before `fit`."""
        if self._stack is None:
            raise PredictorError("EncoderPredictor.predict: call fit(X, y) first")
        mean, std = np.zeros(len(X)), np.zeros(len(X))
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            F, near = self._described(X[part])
            guess = self._members.predict(X[part]).mean(axis=0)
            middle, spread = self._stack.predict(np.column_stack((F, guess)), self._scaled(near))
            mean[part], std[part] = self._ceiling.back(middle), self._ceiling.spread_back(middle, spread)
        return mean, std

    def save(self, path: str | Path) -> None:
        """Writes the encoder and what was fitted (no pickle), from which `load` fits again. PredictorError before `fit`."""
        if self._stack is None:
            raise PredictorError("EncoderPredictor.save: call fit(X, y) first")
        rows, scores = self._seen
        facts = {"features": self._features.definition, "seed": self._seed, "joined": self._joined}
        arrays = {"rows": np.asarray(rows), "scores": scores, **_arrays(self._encoder)}
        write_fitted(Path(path), KIND, facts, arrays)

    @classmethod
    def load(cls, path: str | Path) -> EncoderPredictor:
        """The predictor that `save` wrote: it gives the same predictions.

        Raises:
            PredictorError: the file is none, or names features that are not known; SpaceError: or a space.
        """
        facts = {"features": dict, "seed": int, "joined": bool}
        arrays = {"rows": 2, "scores": 1, **_dimensions()}
        header, found = read_fitted(Path(path), KIND, facts, arrays)
        if found["rows"].dtype.kind != "i":
            raise PredictorError(f"{path}: rows: got {found['rows'].dtype}; legal: integers")
        made = cls(features_from(header["features"]), header["seed"], header["joined"], _encoder(path, found))
        return made.fit(found["rows"], found["scores"])

    def _described(self, X: Rows) -> tuple[Floats, Floats]:
        """Features (n, F), and what distances are measured in."""
        F = self._features(X).astype(np.float64)
        return F, F if self._joined else embed(self._encoder, self._tokens, X)


def free_task(features: Features, seed: int = 0) -> Task:
    """What is free of random architectures: the logs of their costs, and their features (proxies left out)."""
    definition = _without_proxies(features.definition)
    tokens = tokens_from(definition)
    rows = tokens.sample(RANDOM, np.random.default_rng(seed))
    targets = (np.log1p(tokens.cost(rows)), features_from(definition)(rows).astype(np.float64))
    return Task(tokens, rows, targets)


def _without_proxies(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    if definition["kind"] == "proxies":
        return _without_proxies(definition["features"])
    if definition["kind"] == "recipe":
        return {**definition, "features": _without_proxies(definition["features"])}
    return definition


def known_encoder(
    known: Sequence[tuple[Features, Rows, Floats]], seed: int = 0, features: Features | None = None
) -> Encoder:
    """An encoder pre-trained on several spaces or tables: on what is free of each, and on what is known of rows of it.

    All that is known shapes its embedding; a predictor's networks start at a mix of the first `KNOWN` columns, and a
    UserWarning says so where there are more.

    Args:
        known: for each the features, rows (n, G), and what is known of them (n, k), larger or smaller ones better alike:
            latencies of a table, proxies, or scores on another data set.
        seed: of all draws.
        features: of the space in which the encoder will be used, if another: what is free there is learnt, too.

    Raises:
        PredictorError: there is none, or the shapes do not fit.
    """
    if not known:
        raise PredictorError("known: got none; legal: features, rows and values of one space or more")
    spaces = [each[0] for each in known] + ([features] if features else [])
    tasks = [free_task(each, seed) for each in {json.dumps(each.definition): each for each in spaces}.values()]
    for described, rows, values in known:
        if np.ndim(values) != 2 or len(values) != len(rows) or not np.isfinite(values).all() or not len(rows):
            raise PredictorError(f"known: expected finite values (n, k) of {len(rows)} rows, got {np.shape(values)}")
        tasks.append(Task(tokens_from(described.definition), rows, (np.asarray(values, np.float64),), scores=True))
    if (columns := sum(np.shape(values)[1] for _, _, values in known)) > KNOWN:
        warnings.warn(
            f"known: got {columns} columns; predictors start at a mix of the first {KNOWN}, all shape the embedding",
            stacklevel=2,
        )
    return pretrain(tasks, seed)


@lru_cache(maxsize=8)
def free_encoder(definition: str) -> Encoder:
    """The encoder pre-trained on what is free of the features with this definition (JSON); the same whoever asks."""
    return pretrain([free_task(features_from(json.loads(definition)))], 0)


def save_encoder(encoder: Encoder, path: str | Path) -> None:
    """Writes the weights, no pickle."""
    write_fitted(Path(path), ENCODER, {}, _arrays(encoder))


def load_encoder(path: str | Path) -> Encoder:
    """What `save_encoder` wrote. PredictorError if the file is none."""
    return _encoder(path, read_fitted(Path(path), ENCODER, {}, _dimensions())[1])


def _arrays(encoder: Encoder) -> dict[str, NDArray[Any]]:
    return {f"encoder.{name}": value.numpy() for name, value in encoder.state_dict().items()}


def _dimensions() -> dict[str, int]:
    return {name: value.ndim for name, value in _arrays(Encoder().requires_grad_(False)).items()}


def _encoder(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> Encoder:
    encoder = Encoder().requires_grad_(False)
    for name, mine in encoder.state_dict().items():
        given = arrays[f"encoder.{name}"]
        if given.shape != tuple(mine.shape):
            raise PredictorError(f"{path}: encoder.{name}: got shape {given.shape}; legal: {tuple(mine.shape)}")
        mine.copy_(torch.from_numpy(given))
    return encoder
