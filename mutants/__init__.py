"""One-line breakages of the package that its tests must notice: `python -m mutants`."""
