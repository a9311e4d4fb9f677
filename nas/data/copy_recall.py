"""Two probes of memory, made up from a seed: recalling values by their keys, and copying out of noise.

*Recall* (multi-query associative recall; Arora et al., "Zoology", arXiv 2312.04927): pairs of a key and a value, then
the keys again in another order; after each the network must say its value. *Copy* (selective copying; Gu & Dao,
"Mamba", arXiv 2312.00752): a few tokens among blanks, a marker, and then the tokens again in their order. A state of
fixed size holds only so much of either (Jelassi et al., "Repeat after me", arXiv 2402.01032), an attention window all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nas.data.sequences import IGNORED, SequenceData
from nas.data.split import Split
from nas.metric import ACCURACY

if TYPE_CHECKING:
    from nas.job import DataSection

BLANK, MARKER, FIRST = 0, 1, 2  # tokens; keys and values come after
POOL, TEST = 6000, 1000  # sequences: for train and search, and for test
TEST_SEED = 0


def load(section: DataSection) -> SequenceData:
    """Sequences of ``data.context`` tokens, half recall and half copy; ``data.limit`` of them for train and search."""
    pool = section.limit or POOL
    held = max(round(section.search_fraction * pool), 2)
    counts = {"train": (pool - held, [section.seed, 1]), "search": (held, [section.seed, 2])}
    splits = {
        name: mixed(count, section.context, np.random.default_rng(seed)) for name, (count, seed) in counts.items()
    }
    test = mixed(TEST, section.context, np.random.default_rng([TEST_SEED, 3]))
    return probe(section.name, splits["train"], splits["search"], test)


def probe(name: str, train: Split, search: Split, test: Split) -> SequenceData:
    """A data set of probe sequences, judged by the share of right answers."""
    notes = {"tokens": "0 blank, 1 marker, then keys, then values"}
    vocab = vocabulary(train.inputs.shape[1])
    return SequenceData(name, (), train, search, test, vocab=vocab, quality=ACCURACY, notes=notes)


def vocabulary(context: int) -> int:
    """Tokens of sequences of ``context``: blank, marker, as many keys as half the context, and as many values."""
    return FIRST + 2 * (context // 2)


def recall(count: int, context: int, rng: np.random.Generator, pairs: int | np.ndarray | None = None) -> Split:
    """``count`` sequences of ``pairs`` keys with values (default a quarter of the context, which is the most; or a number
    for each sequence), then blanks, and in the second half the keys and their values again, in another order and as often
    as fits; only the values after the second keys are asked for."""
    words, asks = context // 2, context // 4
    kept = np.broadcast_to(asks if pairs is None else pairs, count)[:, None]
    keys = np.argsort(rng.random((count, words)), axis=1)[:, :asks]
    values = rng.integers(words, size=(count, asks))
    order = np.argsort(rng.random((count, asks)), axis=1) % kept
    there = np.arange(asks) < kept
    tokens = np.full((count, context + 1), BLANK)
    tokens[:, 0 : 2 * asks : 2] = np.where(there, FIRST + keys, BLANK)
    tokens[:, 1 : 2 * asks : 2] = np.where(there, FIRST + words + values, BLANK)
    start = context - 2 * asks
    tokens[:, start:context:2] = FIRST + np.take_along_axis(keys, order, 1)
    tokens[:, start + 1 : context : 2] = FIRST + words + np.take_along_axis(values, order, 1)
    asked = np.zeros((count, context), bool)
    asked[:, start:context:2] = True
    return _split(tokens, asked)


def counts(context: int) -> list[int]:
    """1, 2, 4, ... up to the most pairs of a sequence."""
    return [2**n for n in range((context // 4).bit_length())]


def graded(count: int, context: int, rng: np.random.Generator) -> Split:
    """Recall with 1, 2, 4, ... pairs, as many sequences of each: the few teach the mechanism, the many the memory."""
    return recall(count, context, rng, rng.choice(counts(context), count))


def copy(count: int, context: int, rng: np.random.Generator, items: int | None = None) -> Split:
    """``count`` sequences of ``items`` tokens (default an eighth of the context) at random places among blanks, a
    marker, and the tokens again; only the second tokens are asked for."""
    items = max(context // 8, 1) if items is None else items
    words, noise = context // 2, context - items
    content = FIRST + words + rng.integers(words, size=(count, items))
    places = np.sort(np.argsort(rng.random((count, noise)), axis=1)[:, :items], axis=1)
    tokens = np.full((count, context + 1), BLANK)
    np.put_along_axis(tokens, places, content, axis=1)
    tokens[:, noise] = MARKER
    tokens[:, noise + 1 :] = content
    asked = np.zeros((count, context), bool)
    asked[:, noise:] = True
    return _split(tokens, asked)


def mixed(count: int, context: int, rng: np.random.Generator) -> Split:
    """Recall (graded) and copy in turn."""
    parts = graded(count - count // 2, context, rng), copy(count // 2, context, rng)
    order = torch.from_numpy(np.argsort(np.r_[np.arange(count - count // 2) * 2, np.arange(count // 2) * 2 + 1]))
    return Split(*(torch.cat(pair)[order] for pair in zip(*parts, strict=True)))


def _split(tokens: np.ndarray, asked: np.ndarray) -> Split:
    """Tokens ``(N, context + 1)`` -> inputs, and as labels the next tokens where they are asked for."""
    labels = np.where(asked, tokens[:, 1:], IGNORED)
    return Split(torch.from_numpy(np.ascontiguousarray(tokens[:, :-1])), torch.from_numpy(labels))
