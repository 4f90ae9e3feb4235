"""Denoising as a job: what is read, learned from, written and noted, whoever asks for it."""
