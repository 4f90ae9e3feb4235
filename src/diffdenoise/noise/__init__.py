"""Noise: simulated for tests and studies, estimated from a scan. Imports no torch."""
