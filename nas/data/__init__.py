"""Data sets by name, each with a three-way split: train for weights, search for choices, test for the report."""

from nas.data.base import ImageData, Split, TestSplitSealed
from nas.data.batches import augment, epoch_order, step_rng, to_batch
from nas.data.registry import data_names, load_data

__all__ = [
    "ImageData",
    "Split",
    "TestSplitSealed",
    "augment",
    "data_names",
    "epoch_order",
    "load_data",
    "step_rng",
    "to_batch",
]
