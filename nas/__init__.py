"""Hybrid neural architecture search: a job from one file to measured, exported, Pareto-optimal architectures."""
