"""Data sets by name, each with a three-way split: train for weights, search for choices, test for the report."""

from nas.data.base import ImageData
from nas.data.batches import augment, epoch_order, step_rng, to_batch
from nas.data.registry import data_names, load_data
from nas.data.sequences import SequenceData
from nas.data.split import Data, Split, TestSplitSealed

__all__ = [
    "Data",
    "ImageData",
    "SequenceData",
    "Split",
    "TestSplitSealed",
    "augment",
    "data_names",
    "epoch_order",
    "load_data",
    "step_rng",
    "to_batch",
]
