"""Training and judging language models: what is asked for, bits per byte, and steps on networks of several contexts."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nas.data import load_data
from nas.data.sequences import IGNORED, text_data
from nas.job import DataSection, TrainSection
from nas.metric import ACCURACY, BITS_PER_BYTE
from nas.training import PlainStep, Recipe, SandwichSampler, SandwichStep, Trainer, evaluate
from nas.training.evaluate import answers, first
from search_spaces import Supernet, build_network, make_space

MIXERS = ["sequence_gqa", "sequence_short_conv"]
SPACE = make_space({"name": "hybrid-sequence", "context": [8, 16], "mixers": MIXERS})
TEXT = b"".join(b"%d times %d is %d. " % (a, b, a * b) for a in range(30) for b in range(30))


@pytest.fixture(scope="module")
def data():
    return text_data(DataSection(name="bible-kjv", context=16), TEXT)


def network(seed: int = 0):
    torch.manual_seed(seed)
    return build_network(SPACE.architecture(SPACE.smallest(SPACE.sample(1, np.random.default_rng(seed)))[0]))


def test_answers_are_those_that_the_labels_ask_for() -> None:
    logits, labels = torch.randn(2, 3, 5), torch.tensor([[1, IGNORED, 2], [IGNORED, IGNORED, 4]])
    chosen, asked = answers(logits, labels)
    assert asked.tolist() == [1, 2, 4]
    assert torch.equal(chosen, logits[[0, 0, 1], [0, 2, 2]])
    images = torch.randn(4, 10), torch.arange(4)
    assert all(torch.equal(a, b) for a, b in zip(answers(*images), images, strict=True))


def test_bits_per_byte_is_the_mean_cross_entropy_of_the_next_byte(data) -> None:
    model = network().eval()
    split = first(data.search, 7)
    score = evaluate(model, split, data, 8)
    with torch.no_grad():
        logits = model(split.inputs.long().reshape(-1, 8)).reshape(7, 16, 256)
    bits = [
        F.cross_entropy(row, label.long()).item() / math.log(2) for row, label in zip(logits, split.labels, strict=True)
    ]
    assert score.value == pytest.approx(np.mean(bits), rel=1e-6)
    assert score.deviation == pytest.approx(np.std(bits, ddof=1), rel=1e-5)
    assert score.examples == 7
    assert BITS_PER_BYTE.oriented(score.value) == -score.value
    with torch.no_grad():
        for parameter in model[-1].parameters():
            parameter.zero_()
    assert evaluate(model, split, data, 8).value == pytest.approx(8)  # 256 bytes, all alike


def test_accuracy_counts_the_answers_that_are_asked_for() -> None:
    data = load_data(DataSection(name="copy-recall", context=16, limit=100))
    space = make_space({"name": "hybrid-sequence", "context": [16], **data.space_keys, "mixers": MIXERS})
    model = build_network(space.architecture(space.sample(1, np.random.default_rng(0))[0])).eval()
    score = evaluate(model, data.search, data, 16)
    asked = data.search.labels != IGNORED
    with torch.no_grad():
        right = (model(data.search.inputs).argmax(-1) == data.search.labels)[asked]
    assert data.metric is ACCURACY
    assert (score.value, score.examples) == (int(right.sum()) / len(right), int(asked.sum()))


def test_sandwich_trains_networks_of_both_contexts_and_lowers_bits_per_byte(data) -> None:
    supernet = Supernet(SPACE, 0)
    step = SandwichStep(supernet, SandwichSampler(SPACE, 3, 0), data, 0.0)
    settings = TrainSection(epochs=1, batch_size=16, warmup_epochs=0.1, label_smoothing=0.0, learning_rate=0.005)
    trainer = Trainer(supernet, step, Recipe(settings, data, 0))
    trainer.run()
    assert {"largest_bits_per_byte", "smallest_bits_per_byte", "random_bits_per_byte"} <= set(trainer.log[-1])
    assert trainer.log[-1]["largest_bits_per_byte"] < 0.8 * trainer.log[0]["largest_bits_per_byte"]
    assert trainer.log[-1]["loss"] == pytest.approx(trainer.log[-1]["largest_bits_per_byte"] * math.log(2), rel=1e-5)


def test_a_class_of_a_sequence_is_learned() -> None:
    data = load_data(DataSection(name="digits-pixels", limit=400))
    space = make_space({"name": "hybrid-sequence", "context": [64], **data.space_keys, "mixers": MIXERS})
    torch.manual_seed(0)
    model = build_network(space.architecture(space.smallest(space.sample(1, np.random.default_rng(1)))[0]))
    settings = TrainSection(epochs=8, batch_size=32, warmup_epochs=0.5, learning_rate=0.005)
    Trainer(model, PlainStep(model, 64, data, 0.0), Recipe(settings, data, 0)).run()
    assert evaluate(model, data.search, data, 64).value > 0.25  # chance is 0.1
