"""Splits are disjoint, stratified and repeatable; the test split opens once; loaders refuse what is broken."""

import copy
import gzip
import http.server
import pickle
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nas.data import ImageData, Split, TestSplitSealed, data_names, fashion_mnist, load_data
from nas.data.base import split_in_two, stratified_order
from nas.errors import JobError
from nas.job import DataSection

needs_fashion = pytest.mark.skipif(
    not all((fashion_mnist.DEBIAN / name).is_file() for name in fashion_mnist.SHA256),
    reason="the Debian package dataset-fashion-mnist is not installed",
)


def rows(split: Any) -> Any:
    return [image.tobytes() for image in split.images.numpy()]


@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=200), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_every_prefix_of_the_order_is_stratified(labels: Any, seed: Any) -> None:
    labels = np.array(labels)
    order = stratified_order(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    assert (order == stratified_order(labels, seed)).all()
    for label in np.unique(labels):
        taken = np.cumsum(labels[order] == label)
        expected = np.arange(1, len(labels) + 1) * (labels == label).mean()
        assert np.abs(taken - expected).max() <= 1 + len(np.unique(labels)) / 2


@given(
    labels=st.lists(st.integers(0, 3), min_size=2, max_size=100), fraction=st.floats(0.01, 0.5), seed=st.integers(0, 99)
)
def test_two_parts_are_disjoint_and_complete(labels: Any, fraction: Any, seed: Any) -> None:
    rest, taken = split_in_two(np.array(labels), fraction, seed)
    assert sorted([*rest, *taken]) == list(range(len(labels)))
    assert len(rest)
    assert abs(len(taken) - fraction * len(labels)) <= 1
    for part in (rest, taken):  # the first images of a part are as mixed as all of it
        kinds = np.array(labels)[part]
        for kind in set(labels):
            share = (np.array(labels) == kind).mean()
            assert np.abs(np.cumsum(kinds == kind) - share * np.arange(1, len(part) + 1)).max() <= 2 + len(set(labels))


def test_digits_split_is_disjoint_stratified_and_repeatable() -> None:
    from sklearn.datasets import load_digits

    data, again, other = (load_data(DataSection(name="digits", seed=seed)) for seed in (0, 0, 1))
    assert (data.classes, data.in_channels, data.image_size, data.flips) == (10, 1, 8, False)
    test = data.open_test("a test")
    assert len(test.labels) == data.test_size == 359
    everything = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    assert sorted(rows(data.train) + rows(data.search) + rows(test)) == sorted(image.tobytes() for image in everything)
    assert torch.equal(data.train.images, again.train.images)
    assert torch.equal(data.search.labels, again.search.labels)
    assert not torch.equal(data.train.images, other.train.images)
    assert torch.equal(test.images, other.open_test("a test").images), "the test split depends on the seed"
    for split in (data.train, data.search, test):
        share = np.bincount(split.labels.numpy()) / len(split.labels)
        assert np.abs(share - 0.1).max() < 0.02
    pixels = data.train.images.double().numpy() / 255
    assert data.mean == pytest.approx((pixels.mean(),))
    assert data.std == pytest.approx((pixels.std(),))


@given(limit=st.integers(100, 1438), fraction=st.floats(0.1, 0.5))
@settings(max_examples=10, deadline=None)
def test_limit_counts_training_images(limit: Any, fraction: Any) -> None:
    data = load_data(DataSection(name="digits", limit=limit, search_fraction=fraction))
    assert len(data.train.labels) + len(data.search.labels) == limit
    assert len(data.search.labels) == pytest.approx(fraction * limit, abs=1)
    assert data.test_size == 359


def test_a_class_without_images_is_refused() -> None:
    with pytest.raises(JobError, match=r"data: the search split of digits .* no image of class"):
        load_data(DataSection(name="digits", limit=20, search_fraction=0.1))


def test_the_test_split_opens_once() -> None:
    data = load_data(DataSection(name="digits"))
    for touch in (lambda: data.test, lambda: data.test.images, lambda: data.open_test(" ")):
        with pytest.raises(TestSplitSealed):
            touch()
    for clone in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TestSplitSealed, match="neither copied nor pickled"):
            clone(data)
    shallow = copy.copy(data)
    assert len(data.open_test("the report").labels) == 359
    for holder in (data, shallow):
        with pytest.raises(TestSplitSealed, match="opened before, for: the report"):
            holder.open_test("a second look")
    assert "open" not in repr(data)


@pytest.mark.parametrize("bad", ["float", "label", "shape", "oblong", "empty"])
def test_splits_of_the_wrong_kind_are_refused(bad: Any) -> None:
    good = Split(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    broken = {
        "float": Split(good.images.float(), good.labels),
        "label": Split(good.images, good.labels[:3]),
        "shape": Split(good.images[:, :, :4, :4], good.labels),
        "oblong": Split(good.images[:, :, :4], good.labels),
        "empty": Split(good.images[:0], good.labels[:0]),
    }[bad]
    with pytest.raises(ValueError, match="images"):
        ImageData("x", ("a",), good, good, broken, False)


def test_names() -> None:
    images, sequences = ["digits", "fashion-mnist", "image-folder"], ["digits-pixels", "text-file"]
    assert data_names() == sorted([*images, *sequences, "bible-kjv", "copy-recall"])


# Fashion-MNIST


@needs_fashion
def test_fashion_mnist_is_complete() -> None:
    data = load_data(DataSection(name="fashion-mnist"))
    assert (len(data.train.labels), len(data.search.labels), data.test_size) == (49_998, 10_002, 10_000)
    assert (data.classes, data.in_channels, data.image_size, data.flips) == (10, 1, 28, True)
    assert np.bincount(data.search.labels.numpy()).tolist() == pytest.approx([1000] * 10, abs=1)
    assert data.mean[0] == pytest.approx(0.2860, abs=1e-3)  # the figures of the whole training set
    assert data.std[0] == pytest.approx(0.3530, abs=1e-3)
    assert np.bincount(data.open_test("a test").labels.numpy()).tolist() == [1000] * 10


def write_idx(path: Any, array: Any) -> None:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def idx_folder(tmp_path: Path) -> Any:
    rng = np.random.default_rng(0)
    for part, count in (("train", 400), ("t10k", 50)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (count, 28, 28), np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8) % 10)
    return tmp_path


def test_files_in_a_folder(idx_folder: Path) -> None:
    data = load_data(DataSection(name="fashion-mnist", folder=idx_folder))
    assert len(data.train.labels) + len(data.search.labels) == 400
    rng = np.random.default_rng(0)
    assert set(rows(data.train) + rows(data.search)) == {
        i.tobytes() for i in rng.integers(0, 256, (400, 28, 28), np.uint8)
    }


@pytest.mark.parametrize("damage", ["missing", "torn", "text", "labels", "shape"])
def test_broken_idx_files_are_job_errors(idx_folder: Path, damage: Any) -> None:
    images = idx_folder / "train-images-idx3-ubyte.gz"
    labels = idx_folder / "train-labels-idx1-ubyte.gz"
    if damage == "missing":
        labels.unlink()
    elif damage == "torn":
        images.write_bytes(images.read_bytes()[:-1000])
    elif damage == "text":
        images.write_text("hello")
    elif damage == "labels":
        write_idx(labels, np.full(400, 10, np.uint8))
    else:
        write_idx(images, np.zeros((400, 28, 27), np.uint8))
    with pytest.raises(JobError, match=r"data\.folder"):
        load_data(DataSection(name="fashion-mnist", folder=idx_folder))


@pytest.fixture
def server(tmp_path: Path) -> Any:
    served = tmp_path / "served"
    served.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield served, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "content",
    [None, b"not gzip", gzip.compress(b"another file"), gzip.compress(bytes(2**26))],
    ids=["absent", "not gzip", "another file", "bomb"],
)
def test_a_failed_or_wrong_download_lists_three_ways_and_keeps_nothing(
    tmp_path: Path, server: Any, content: Any
) -> None:
    served, url = server
    if content is not None:
        for name in fashion_mnist.SHA256:
            (served / name).write_bytes(content)
    with pytest.raises(JobError) as caught:
        fashion_mnist.find_folder(None, debian=tmp_path / "none", cache=tmp_path / "cache", url=url)
    for way in ("apt-get install dataset-fashion-mnist", "data.folder", url):
        assert way in str(caught.value)
    assert not list(tmp_path.glob("cache/*"))


@needs_fashion
def test_the_real_files_download_into_the_cache(tmp_path: Path, server: Any) -> None:
    served, url = server
    for name in fashion_mnist.SHA256:
        (served / name).symlink_to(fashion_mnist.DEBIAN / name)
    cache = tmp_path / "cache"
    assert fashion_mnist.find_folder(None, debian=tmp_path / "none", cache=cache, url=url) == cache
    assert sorted(file.name for file in cache.iterdir()) == sorted(fashion_mnist.SHA256)
    assert fashion_mnist.find_folder(None, debian=tmp_path / "none", cache=cache, url="http://127.0.0.1:1") == cache


# Image folders


def paint(folder: Any, count: Any, size: Any = (12, 12), suffix: Any = "png", mode: Any = "RGB") -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(str(folder.name)))
    for index in range(count):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{index}.{suffix}")


def test_an_image_folder_with_and_without_train_and_test(tmp_path: Path) -> None:
    for name, suffix, mode in (("cat", "png", "RGB"), ("snake", "jpg", "L")):
        paint(tmp_path / "a" / name, 20, suffix=suffix, mode=mode)
        paint(tmp_path / "b" / "train" / name, 20, size=(20, 16))
        paint(tmp_path / "b" / "test" / name, 3, size=(9, 30))
    data = load_data(DataSection(name="image-folder", folder=tmp_path / "a"))
    assert (data.class_names, data.in_channels, data.image_size) == (("cat", "snake"), 3, 12)
    assert (len(data.train.labels), len(data.search.labels), data.test_size) == (27, 5, 8)
    data = load_data(DataSection(name="image-folder", folder=tmp_path / "b", image_size=8))
    assert (data.image_size, len(data.train.labels) + len(data.search.labels), data.test_size) == (8, 40, 6)


def test_broken_image_folders_are_job_errors(tmp_path: Path) -> Any:
    def load(folder: Any, **keys: Any) -> Any:
        return load_data(DataSection(name="image-folder", folder=folder, **keys))

    with pytest.raises(JobError, match=r"data\.folder: came None"):
        load(None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(JobError, match=r"0 class folders \(none\); legal: at least 2"):
        load(tmp_path / "empty")
    paint(tmp_path / "x" / "cat", 10)
    with pytest.raises(JobError, match=r"1 class folders \(cat\)"):
        load(tmp_path / "x")
    (tmp_path / "x" / "dog").mkdir()
    with pytest.raises(JobError, match="dog holds no image"):
        load(tmp_path / "x")
    paint(tmp_path / "x" / "eel", 10, size=(12, 10))
    (tmp_path / "x" / "dog" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(JobError, match=r"broken\.png cannot be read as an image"):
        load(tmp_path / "x")
    Image.new("RGB", (12, 12)).save(tmp_path / "x" / "dog" / "broken.png")
    with pytest.raises(JobError, match=r"data\.image_size: null, and .* 12x10"):
        load(tmp_path / "x")
    with pytest.raises(JobError, match="split of image-folder"):  # one dog is not enough for three splits
        load(tmp_path / "x", image_size=8)
    paint(tmp_path / "y" / "train" / "cat", 4)
    paint(tmp_path / "y" / "train" / "dog", 4)
    paint(tmp_path / "y" / "test" / "cat", 4)
    paint(tmp_path / "y" / "test" / "eel", 4)
    with pytest.raises(JobError, match="class 'dog' is in only one"):
        load(tmp_path / "y")
