"""Texts in contiguous, disjoint blocks; probes that mean what they say; loaders that refuse what they cannot read."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data import SequenceData, load_data
from nas.data.bible_kjv import king_james
from nas.data.copy_recall import BLANK, MARKER, copy, mixed, recall, vocabulary
from nas.data.sequences import IGNORED, text_data
from nas.errors import JobError
from nas.job import DataSection
from nas.metric import ACCURACY, BITS_PER_BYTE


def windows(split) -> list[bytes]:
    whole = torch.cat([split.inputs, split.labels[:, -1:]], 1)
    return [bytes(row) for row in whole.numpy().astype(np.uint8)]


def numbered(count: int) -> bytes:
    """A text in which no 8 bytes occur twice (but by a chance of one in billions)."""
    return np.random.default_rng(0).bytes(8 * count)


@given(context=st.integers(8, 40), fraction=st.floats(0.05, 0.5), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_text_is_split_into_disjoint_windows_of_its_own_bytes(context: int, fraction: float, seed: int) -> None:
    text = numbered(2000)
    data = text_data(DataSection(name="bible-kjv", context=context, search_fraction=fraction, seed=seed), text)
    parts = {"train": data.train, "search": data.search, "test": data.open_test("a test")}
    places: list[range] = []
    for split in parts.values():
        assert torch.equal(split.inputs[:, 1:], split.labels[:, :-1])
        for window in windows(split):
            at = text.find(window)
            assert at >= 0
            places.append(range(at, at + context))  # the last byte is only a label
    starts = sorted(places, key=lambda place: place.start)
    assert all(a.stop <= b.start for a, b in itertools.pairwise(starts))
    assert sum(map(len, places)) > 0.5 * len(text)


def test_the_test_split_of_a_text_does_not_depend_on_the_seed() -> None:
    text = numbered(3000)
    one, two = (text_data(DataSection(name="bible-kjv", context=16, seed=seed), text) for seed in (0, 1))
    assert torch.equal(one.open_test("a").inputs, two.open_test("b").inputs)
    assert not torch.equal(one.search.inputs, two.search.inputs)


def test_a_limit_keeps_so_many_windows() -> None:
    data = text_data(DataSection(name="bible-kjv", context=16, limit=100), numbered(3000))
    assert len(data.train.labels) + len(data.search.labels) == pytest.approx(100, abs=1)
    assert data.metric is BITS_PER_BYTE
    assert (data.task, data.vocab, data.context) == ("language", 256, 16)


def test_networks_of_shorter_context_read_the_same_tokens_in_the_same_order() -> None:
    data = text_data(DataSection(name="bible-kjv", context=32), numbered(2000))
    few = data.train.inputs[:3]
    assert torch.equal(data.batch(few, 8).flatten(), data.batch(few, 32).flatten())
    assert data.batch(few, 8).shape == (12, 8)


def test_contexts_that_the_data_cannot_serve_are_refused() -> None:
    text = text_data(DataSection(name="bible-kjv", context=32), numbered(2000))
    probe, pixels = (
        load_data(DataSection(name="copy-recall", context=32, limit=50)),
        load_data(DataSection(name="digits-pixels")),
    )
    for data, good, bad in ((text, [8, 32], 12), (probe, [32], 16), (pixels, [10, 64], 65)):
        data.check_extents(good)
        with pytest.raises(JobError, match=rf"space\.context: came {bad}"):
            data.check_extents([*good, bad])


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(JobError, match=r"has 100 bytes; legal: at least"):
        text_data(DataSection(name="bible-kjv", context=64), b"x" * 100)


def test_a_text_file_and_a_folder_of_them(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(numbered(1500))
    (tmp_path / "a.txt").write_bytes(b"first")
    (tmp_path / ".hidden").write_bytes(b"no")
    data = load_data(DataSection(name="text-file", path=tmp_path, context=16))
    assert bytes(data.train.inputs[0].numpy()) in b"first\n" + numbered(1500)
    (tmp_path / "empty").mkdir()
    with pytest.raises(JobError, match="holds no file"):
        load_data(DataSection(name="text-file", path=tmp_path / "empty"))


def test_the_king_james_text_comes_from_the_cache_or_says_how_to_get_it(tmp_path: Path, monkeypatch) -> None:
    text = b"verse\n" * 31_102
    (tmp_path / "text").write_bytes(text)
    assert king_james(tmp_path / "text") == text
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JobError, match="apt-get install bible-kjv"):
        king_james(tmp_path / "none")
    (tmp_path / "bible").write_text("#!/bin/sh\necho one verse\n")
    (tmp_path / "bible").chmod(0o755)
    with pytest.raises(JobError, match="printed 1 lines, not 31102"):
        king_james(tmp_path / "none")


@given(length=st.sampled_from([16, 32, 64]), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_recall_asks_for_the_value_that_followed_the_key(length: int, seed: int) -> None:
    split = recall(5, length, np.random.default_rng(seed), pairs=length // 8)
    for tokens, labels in zip(split.inputs.tolist(), split.labels.tolist(), strict=True):
        pairs = dict(zip(tokens[: length // 4 : 2], tokens[1 : length // 4 : 2], strict=True))
        assert set(tokens[length // 4 : length // 2]) == {BLANK}
        asked = [(t, label) for t, label in zip(tokens, labels, strict=True) if label != IGNORED]
        assert len(asked) == 2 * len(pairs) == length // 4
        assert dict(asked) == pairs
        assert max(tokens) < vocabulary(length)


@given(length=st.sampled_from([16, 32, 64]), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_copy_asks_for_the_tokens_among_the_blanks_in_their_order(length: int, seed: int) -> None:
    split = copy(5, length, np.random.default_rng(seed))
    for tokens, labels in zip(split.inputs.tolist(), split.labels.tolist(), strict=True):
        marker = tokens.index(MARKER)
        content = [t for t in tokens[:marker] if t != BLANK]
        assert [label for label in labels if label != IGNORED] == content
        assert len(content) == length // 8


def test_probes_are_repeatable_and_mixed() -> None:
    one, two = (mixed(10, 32, np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(one.inputs, two.inputs)
    assert [MARKER in row for row in one.inputs.tolist()] == [False, True] * 5
    data = load_data(DataSection(name="copy-recall", context=32, limit=200))
    assert data.metric is ACCURACY
    assert len(data.train.labels) + len(data.search.labels) == 200
    again = load_data(DataSection(name="copy-recall", context=32, limit=200, seed=1))
    assert torch.equal(data.open_test("a").inputs, again.open_test("b").inputs)
    assert not torch.equal(data.train.inputs, again.train.inputs)


def test_digits_as_sequences_are_the_same_images() -> None:
    pixels, images = load_data(DataSection(name="digits-pixels")), load_data(DataSection(name="digits"))
    assert isinstance(pixels, SequenceData)
    assert torch.equal(pixels.train.inputs, images.train.inputs.flatten(1))
    assert torch.equal(pixels.search.labels, images.search.labels)
    assert pixels.space_keys == {"task": "classification", "vocab": 256, "classes": 10}
    assert pixels.test_size == images.test_size
