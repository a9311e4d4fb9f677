"""What carries the score and the latency of a run's architectures, and a smaller space without what carries nothing."""
