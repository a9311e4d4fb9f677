"""What the data cannot tell from the front."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from nas.metric import BITS_PER_BYTE
from nas.report.separation import separation_sentence, unseparated
from nas.report.tables import wilson

SEARCH = "predictor-nsga2"


def test_they_are_the_networks_of_the_search_that_nothing_beats_beyond_the_bars(device):
    own = device.evaluations[device.evaluations["search"] == SEARCH].drop_duplicates("hash")
    bars = [(high - low) / 2 for low, high in (wilson(a * 239, 239) for a in own["accuracy"])]
    members, kept = set(device.front["hash"]), set()
    for one, bar in zip(own.itertuples(), bars, strict=True):
        beaten = False
        for other, wide in zip(own.itertuples(), bars, strict=True):
            better = other.latency_ms <= one.latency_ms and other.accuracy >= one.accuracy
            apart = (
                other.accuracy - wide > one.accuracy + bar
                or np.sqrt(other.latency_high_ms / other.latency_low_ms * one.latency_high_ms / one.latency_low_ms)
                < one.latency_ms / other.latency_ms
            )
            beaten |= better and apart
        if not beaten and one.hash not in members:
            kept.add(one.hash)
    assert kept
    assert set(unseparated(device, SEARCH, 239)["hash"]) == kept
    assert f"cannot separate {len(kept)} more networks of the {len(own)} evaluated" in separation_sentence(
        device, SEARCH, 239
    )


def test_more_images_separate_more(device):
    counts = [len(unseparated(device, SEARCH, images)) for images in (20, 200, 2000, 200_000)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


@pytest.mark.parametrize("bounds", ["absent", "unknown"])
def test_an_error_that_is_not_known_is_not_claimed(device, bounds):
    columns = ["latency_low_ms", "latency_high_ms"]
    bare = device.evaluations.drop(columns=columns)
    evaluations = bare if bounds == "absent" else bare.assign(**dict.fromkeys(columns, np.nan))
    blind = dataclasses.replace(device, evaluations=evaluations)
    assert unseparated(blind, SEARCH) is None
    assert "not known" in separation_sentence(blind, SEARCH)
    assert "latency" not in separation_sentence(blind, SEARCH, 239)
    assert "accuracy" not in separation_sentence(device, SEARCH)


def test_a_front_that_is_surely_best_stands_alone(device):
    one = device.front[:1].assign(accuracy=1.0, latency_ms=0.001)
    first = device.evaluations[:1].assign(
        hash=one["hash"].iloc[0], accuracy=1.0, latency_ms=0.001, latency_low_ms=0.0009, latency_high_ms=0.0011
    )
    others = device.evaluations[device.evaluations["hash"] != one["hash"].iloc[0]]
    alone = dataclasses.replace(device, front=one, evaluations=pd.concat([first, others]))
    assert unseparated(alone, SEARCH, 239).empty
    assert "separate every other network" in separation_sentence(alone, SEARCH, 239)


def test_of_a_metric_of_which_less_is_better_the_lower_is_better(device):
    bits = {"accuracy": "bits_per_byte", "test_accuracy": "test_bits_per_byte"}
    frames = {name: getattr(device, name).rename(columns=bits) for name in ("front", "evaluations")}
    for frame in frames.values():
        frame["bits_per_byte"] = 1 - frame["bits_per_byte"]
    mirrored = dataclasses.replace(device, metric=BITS_PER_BYTE, **frames)
    assert unseparated(mirrored, SEARCH)["hash"].tolist() == unseparated(device, SEARCH)["hash"].tolist()
