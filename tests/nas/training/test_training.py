"""The sandwich sampler, bit-exact resume, rollback from spikes, calibration."""

import numpy as np
import pytest
import torch

from nas.data import load_data
from nas.job import DataSection, TrainSection
from nas.training import PlainStep, Recipe, SandwichSampler, SandwichStep, Trainer, TrainingFailed, calibrate
from nas.training.checkpoint import MemoryStore
from search_spaces import Supernet, build_network, make_space

SPACE = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "in_channels": 1, "classes": 10})
SETTINGS = TrainSection(epochs=1, batch_size=64, warmup_epochs=0.2, subnets=3, checkpoint_steps=4)


@pytest.fixture(scope="module")
def data():
    return load_data(DataSection(name="digits", limit=600))


def trainer(data, store=None, step=None, seed=0):
    supernet = Supernet(SPACE, seed=seed)
    sandwich = SandwichStep(supernet, SandwichSampler(SPACE, 3, seed), data, 0.1)
    return supernet, Trainer(supernet, step or sandwich, Recipe(SETTINGS, data, seed), store, 4)


def test_sandwich_has_largest_and_smallest_sizes_and_is_replayable() -> None:
    sampler = SandwichSampler(SPACE, 4, seed=1)
    for step in range(20):
        rows = sampler.rows(step)
        assert np.array_equal(rows, sampler.rows(step))
        assert np.array_equal(rows, SPACE.canonicalise(rows))
        assert np.array_equal(rows[:1], SPACE.largest(rows[:1]))
        assert np.array_equal(rows[1:2], SPACE.smallest(rows[1:2]))
    assert not np.array_equal(sampler.rows(0), sampler.rows(1))
    assert not np.array_equal(sampler.rows(0, attempt=0), sampler.rows(0, attempt=1))


def test_every_operator_type_is_visited_equally_often() -> None:
    """In a layer that the largest network always has, over whole rounds of the permutation, the counts of what was drawn
    differ by nothing; over the sampled networks (some lack the layer) they differ little."""
    sampler = SandwichSampler(SPACE, 3, seed=2)
    gene = SPACE.index["stage1.layer1.mixer"]
    types = SPACE.cardinalities[gene]
    counts = np.zeros(types, int)
    for step in range(3 * types):
        rows = sampler.rows(step)
        assert SPACE.active(rows)[:, gene].all()
        counts += np.bincount(rows[:, gene], minlength=types)
    assert (counts == counts[0]).all()


def test_sampler_stays_inside_a_restricted_space() -> None:
    space = SPACE.restrict({"*.mixer": ["mhsa", "ssd"]})
    for step in range(10):
        for row in SandwichSampler(space, 4, 0).rows(step):
            values = space.architecture(row).values
            assert {v for k, v in values.items() if k.endswith(".mixer")} <= {"mhsa", "ssd"}


class Killed(Exception):
    pass


@pytest.mark.parametrize("kill_after", [1, 3, 4, 6])
def test_resumed_training_ends_with_the_same_bits(data, kill_after: int) -> None:
    undisturbed, first = trainer(data)
    first.run()

    def kill(done: int, steps: int, metrics: dict) -> None:
        if done == kill_after:
            raise Killed

    store = MemoryStore()
    _, killed = trainer(data, store)
    with pytest.raises(Killed):
        killed.run(kill)
    resumed, second = trainer(data, store, seed=0)
    with torch.no_grad():  # whatever a fresh process starts with must not matter
        for parameter in resumed.parameters():
            parameter.zero_()
    second.run()
    for (name, a), b in zip(undisturbed.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert first.log == second.log


def test_training_lowers_the_loss(data) -> None:
    settings = TrainSection(epochs=6, batch_size=64, warmup_epochs=0.5, subnets=3, checkpoint_steps=100)
    network = build_network(SPACE.architecture(SPACE.sample(1, np.random.default_rng(0))[0]))
    alone = Trainer(network, PlainStep(network, 8, data, 0.0), Recipe(settings, data, 0))
    alone.run()
    assert alone.log[-1]["loss"] < 0.5 * alone.log[0]["loss"]


def test_a_spike_rolls_back_to_the_checkpoint_and_uses_other_batches(data) -> None:
    seen: list[tuple[int, int]] = []
    network = build_network(SPACE.architecture(SPACE.sample(1, np.random.default_rng(0))[0]))
    plain = PlainStep(network, 8, data, 0.0)

    def step(images, labels, number, attempt):
        seen.append((number, attempt))
        metrics = plain(images, labels, number, attempt)
        return {**metrics, "loss": float("nan")} if (number, attempt) == (5, 0) else metrics

    spiky = Trainer(network, step, Recipe(SETTINGS, data, 0), checkpoint_steps=4)
    spiky.run()
    assert spiky.rollbacks == 1
    assert seen[5:7] == [(5, 0), (4, 1)]  # back to the checkpoint at 4, on with attempt 1
    recipe = Recipe(SETTINGS, data, 0)
    assert not torch.equal(recipe.batch(4, 0)[0], recipe.batch(4, 1)[0])


def test_endless_spikes_end_with_a_clear_error(data) -> None:
    network = build_network(SPACE.architecture(SPACE.sample(1, np.random.default_rng(0))[0]))
    plain = PlainStep(network, 8, data, 0.0)

    def step(images, labels, number, attempt):
        return {**plain(images, labels, number, attempt), "loss": float("inf")}

    with pytest.raises(TrainingFailed, match=r"train\.learning_rate"):
        Trainer(network, step, Recipe(SETTINGS, data, 0)).run()


def test_calibration_sets_batch_norm_to_the_statistics_of_the_images(data) -> None:
    """One batch norm right after the input of known mean and variance, and nothing else is touched."""
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Conv2d(1, 2, 1)).eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    calibrate(network, data, 8, 200)
    after = network.state_dict()
    from nas.data import to_batch

    batch = to_batch(data.train.images[:200], data.mean, data.std, 8)
    torch.testing.assert_close(after["0.running_mean"], batch.mean((0, 2, 3)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after["0.running_var"], batch.var((0, 2, 3)), rtol=1e-4, atol=1e-4)
    assert torch.equal(before["1.weight"], after["1.weight"])
    assert not network[0].training
    assert network[0].momentum == 0.1
