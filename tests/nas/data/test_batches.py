"""Batches against slow, independent references; every step can be replayed."""

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nas.data import augment, epoch_order, step_rng, to_batch


def images(count: Any, channels: Any, size: Any, seed: Any = 0) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, channels, size, size), np.uint8))


@settings(max_examples=30, deadline=None)
@given(
    size=st.sampled_from([4, 8, 9, 28]),
    channels=st.sampled_from([1, 3]),
    flips=st.booleans(),
    step=st.integers(0, 10**9),
)
def test_augment_is_a_reflected_shift_with_an_optional_mirror(size: Any, channels: Any, flips: Any, step: Any) -> None:
    batch = images(16, channels, size)
    result = augment(batch, step_rng(3, step), flips)
    assert result.shape == batch.shape
    assert result.dtype == torch.uint8
    assert torch.equal(result, augment(batch, step_rng(3, step), flips))
    reach = size // 8
    for source, made in zip(batch.numpy(), result.numpy(), strict=True):
        padded = np.pad(source, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
        legal = [padded[:, y : y + size, x : x + size] for y in range(2 * reach + 1) for x in range(2 * reach + 1)]
        legal += [shifted[:, :, ::-1] for shifted in legal] if flips else []
        assert any((made == option).all() for option in legal)


def test_augment_reaches_every_shift_and_mirrors_half() -> None:
    batch = images(1, 1, 8).expand(400, 1, 8, 8)
    seen = {image.tobytes() for image in augment(batch, step_rng(0, 0), True).numpy()}
    assert len(seen) == 3 * 3 * 2
    assert len({image.tobytes() for image in augment(batch, step_rng(0, 0), False).numpy()}) == 3 * 3


def test_to_batch_normalises_in_channels_last() -> None:
    batch = images(5, 3, 8)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    result = to_batch(batch, mean, std, 8)
    expected = (batch.numpy() / 255.0 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(result.numpy(), expected, atol=2e-6)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_to_batch_resizes_like_pillow() -> None:
    batch = images(2, 1, 28)
    for side in (14, 20, 32):
        result = to_batch(batch, (0.0,), (1.0,), side)
        assert result.shape == (2, 1, side, side)
        for source, made in zip(batch.numpy(), result.numpy(), strict=True):
            expected = Image.fromarray(source[0].astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
            np.testing.assert_allclose(made[0] * 255, np.asarray(expected), atol=0.01)


@given(n=st.integers(0, 500), seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 10**6))
def test_epoch_order_is_a_replayable_permutation(n: Any, seed: Any, epoch: Any) -> None:
    order = epoch_order(n, seed, epoch)
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == list(range(n))
    assert torch.equal(order, epoch_order(n, seed, epoch))
    if n > 50:
        assert not torch.equal(order, epoch_order(n, seed, epoch + 1))
        assert not torch.equal(order, epoch_order(n, seed + 1, epoch))


def test_streams_are_independent() -> None:
    draws = [step_rng(*key).integers(2**62) for key in ((0, 1), (1, 0), (0, 0), (0, 1, 1), (0, 0, 1))]
    assert len(set(draws)) == len(draws)
    assert step_rng(4, 5, 6).integers(2**62) == step_rng(4, 5, 6).integers(2**62)
