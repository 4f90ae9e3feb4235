"""Whether a result can be trusted: figures of merit and pictures."""
