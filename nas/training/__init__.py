"""Training: the supernet once, or one architecture alone with the same recipe."""

from nas.training.evaluate import calibrate, evaluate
from nas.training.recipe import Recipe
from nas.training.sampler import SandwichSampler
from nas.training.steps import PlainStep, SandwichStep
from nas.training.trainer import Trainer, TrainingFailed

__all__ = [
    "PlainStep",
    "Recipe",
    "SandwichSampler",
    "SandwichStep",
    "Trainer",
    "TrainingFailed",
    "calibrate",
    "evaluate",
]
