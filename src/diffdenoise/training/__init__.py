"""One training loop for all stages: data, time budget, checkpoints."""
