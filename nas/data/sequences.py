"""Sequences of tokens: windows of a text with the next token as label, or sequences with one class each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from nas.data.split import Data, Split
from nas.errors import JobError
from nas.metric import ACCURACY, BITS_PER_BYTE, Metric

if TYPE_CHECKING:
    from nas.job import DataSection

__all__ = ["BYTES", "IGNORED", "SequenceData", "text_data"]

BYTES = 256
IGNORED = -100  # a label that is not asked for: PyTorch's own number for it
TOKENS_A_BATCH = 32_000  # of an evaluation: its logits stay within a few dozen megabytes
BLOCKS = 100  # contiguous blocks that a text is cut into
TEST_EVERY = 10  # every tenth block is the test split, whatever the seed


@dataclass(frozen=True)
class SequenceData(Data):
    """Sequences of integer tokens below `vocab`.

    With one label a token the task is "language", with one label a sequence "classification". Tokens whose label is
    `IGNORED` are not asked for. Where every token has a label (a text), networks of shorter context read a window in
    pieces, so that all score the same tokens; of a classified sequence they read the beginning.
    """

    examples: ClassVar[str] = "sequences"
    vocab: int
    quality: Metric
    notes: dict[str, Any]

    def __post_init__(self, test_split: Split) -> None:
        context = self.train.inputs.shape[1:]
        for split in (self.train, self.search, test_split):
            inputs, labels = split
            if inputs.ndim != 2 or inputs.shape[1:] != context or not len(inputs):
                raise ValueError(f"splits need sequences of one length, at least one, got {tuple(inputs.shape)}")
            if len(labels) != len(inputs) or (labels.ndim == 2 and labels.shape != inputs.shape):
                raise ValueError(f"labels {tuple(labels.shape)}: legal are one a sequence or one a token")
        super().__post_init__(test_split)

    @property
    def context(self) -> int:
        """Tokens a sequence."""
        return int(self.train.inputs.shape[1])

    @property
    def task(self) -> str:
        """``"language"`` or ``"classification"``."""
        return "language" if self.train.labels.ndim == 2 else "classification"

    @property
    def metric(self) -> Metric:
        return self.quality

    @property
    def space_keys(self) -> dict[str, Any]:
        classes = {} if self.task == "language" else {"classes": len(self.class_names)}
        return {"task": self.task, "vocab": self.vocab, **classes}

    @property
    def facts(self) -> dict[str, Any]:
        return {"vocab": self.vocab, **self.notes, "classes": list(self.class_names)}

    def batch(self, inputs: torch.Tensor, extent: int) -> torch.Tensor:
        """``(B, context)`` -> int64 ``(B * context / extent, extent)``, or ``(B, extent)`` for classification."""
        tokens = inputs.long()
        return tokens.reshape(-1, extent) if self.task == "language" else tokens[:, :extent]

    def check_extents(self, extents: Sequence[int]) -> None:
        """A text is read in equal pieces, a classified sequence from its beginning, one with gaps in its labels whole."""
        labels = self.train.labels
        pieces = self.task == "language" and (labels.dtype == torch.uint8 or bool((labels != IGNORED).all()))
        for extent in extents:
            if pieces:
                fits, legal = self.context % extent == 0, f"divisors of the {self.context} tokens a window"
            else:
                most = self.task == "classification"
                fits = extent <= self.context if most else extent == self.context
                legal = f"{'at most ' if most else ''}{self.context}, the tokens a sequence"
            if not fits:
                raise JobError(f"space.context: came {extent}; legal: {legal} of {self.name}")

    def augment(self, inputs: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        return inputs

    def evaluation_batch(self, most: int) -> int:
        return max(min(most, TOKENS_A_BATCH // self.context), 1)


def text_data(section: DataSection, text: bytes) -> SequenceData:
    """Windows of ``data.context`` bytes of ``text``, each labelled with the byte that follows.

    The text is cut into contiguous blocks; every tenth block is the test split, ``search_fraction`` of the others, by
    ``data.seed``, the search split. No window crosses from one block into another. The windows of train and search stand
    at random, so that the first ones are from everywhere; ``data.limit`` are kept of both together.

    Raises:
        JobError: the text is too short for this.
    """
    context = section.context
    count = min(BLOCKS, len(text) // (2 * context + 1))
    if count < 2 * TEST_EVERY:
        least = 2 * TEST_EVERY * (2 * context + 1)
        raise JobError(
            f"data: {section.name} has {len(text)} bytes; legal: at least {least} for a data.context of {context}"
        )
    rng = np.random.default_rng([section.seed, 0x7E47])
    bounds = np.linspace(0, len(text), count + 1).astype(int)
    blocks = np.frombuffer(text, np.uint8)
    windows = [_windows(blocks[a:b], context) for a, b in itertools.pairwise(bounds)]
    test = [i for i in range(count) if i % TEST_EVERY == TEST_EVERY // 2]
    rest = rng.permutation([i for i in range(count) if i not in test])
    held = min(max(round(section.search_fraction * len(rest)), 1), len(rest) - 1)
    parts = {"search": sorted(rest[:held]), "train": sorted(rest[held:]), "test": test}
    splits = {name: np.concatenate([windows[i] for i in chosen]) for name, chosen in parts.items()}
    pool = len(splits["train"]) + len(splits["search"])
    share = 1.0 if section.limit is None else min(section.limit / pool, 1.0)
    for name in ("train", "search"):
        kept = max(round(share * len(splits[name])), 1)
        splits[name] = splits[name][rng.permutation(len(splits[name]))[:kept]]
    made = {name: _next_token(torch.from_numpy(array)) for name, array in splits.items()}
    notes = {"tokens": "the bytes of the text"}
    return SequenceData(
        section.name, (), made["train"], made["search"], made["test"], vocab=BYTES, quality=BITS_PER_BYTE, notes=notes
    )


def _windows(block: np.ndarray, context: int) -> np.ndarray:
    """(N, context + 1): neighbours share one byte, the label of the one and the first input of the other."""
    return np.lib.stride_tricks.sliding_window_view(block, context + 1)[::context]


def _next_token(windows: torch.Tensor) -> Split:
    return Split(windows[:, :-1], windows[:, 1:])


def as_sequences(data: Data, name: str) -> SequenceData:
    """The pixels of grey images, row by row, as sequences of bytes with the image's class."""

    def flat(split: Split) -> Split:
        return Split(split.inputs.flatten(1), split.labels)

    test = data.open_test(f"the sequences of {name} are sealed again")
    notes = {"tokens": "grey levels from 0 to 255, row by row"}
    return SequenceData(
        name, data.class_names, flat(data.train), flat(data.search), flat(test),
        vocab=BYTES, quality=ACCURACY, notes=notes,
    )  # fmt: skip
