"""A model for other programs: one ONNX file from a scan's own intensities to denoised ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffdenoise._version import __version__
from diffdenoise.errors import ModelError
from diffdenoise.model.graph import DENOISED, NOISY, STEP, Nodes, Weights
from diffdenoise.networks.known_noise import UNIT
from diffdenoise.noise.domain import MIDDLE, Domain

Array = NDArray[np.float64]
#: Names of the numbers that go in with a scan.
LOW, HIGH = "low", "high"
_SCALARS = {
    LOW: "0.5th percentile of the scan's intensities",
    HIGH: "99.5th percentile of the scan's intensities",
}
#: Evenly spaced places of a table.
_PLACES = 8193
#: Axes of height and width.
_SIDES = (2, 3)


def exported(weights: Weights, domain: Domain, about: dict[str, str]) -> bytes:
    """Return an ONNX file of a student for noise as it is known.

    It takes "noisy" (n, channels, h, w), float32: slices in the scan's own intensities, each with those
    beside it (before, after, nearest first), and of the whole scan the 0.5th and 99.5th percentile, "low" and
    "high"; it gives "denoised" (n, 1, h, w) in the same intensities. Any n, h and w.

    Parameters
    ----------
    weights : dict of str to float32 array
        The student's.
    domain : Domain
        Where it works.
    about : dict of str to str
        What is known of it, kept in the file.

    Raises
    ------
    ModelError
        If the noise's level varies with the place, which no such file can tell.
    """
    if domain.noise.place is not None:
        raise ModelError(
            "the level of the noise that the model is for varies from place to place, and an ONNX file can't "
            "hold its map; use the model as it is"
        )
    nodes = Nodes()
    width = nodes.add("Sub", HIGH, LOW)
    x = nodes.add("Div", nodes.add("Sub", NOISY, LOW), width)
    if domain.is_stabilised:
        line, there, means = domain.tables()
        x = _looked_up(nodes, x, "entered", line, there)
    x, sides = _padded(nodes, x)
    middle, unit = nodes.constant("middle", MIDDLE), nodes.constant("unit", domain.level / UNIT)
    x = nodes.add("Div", nodes.add("Sub", x, middle), unit)
    x = nodes.student(weights, x)
    x = nodes.add("Add", nodes.add("Mul", x, unit), middle)
    if domain.is_stabilised:
        x = _looked_up(nodes, x, "left", means, line)
    starts = nodes.constant("starts", [0, 0], np.int64)
    x = nodes.add("Slice", x, starts, sides, nodes.constant("sides", _SIDES, np.int64))
    nodes.add("Add", nodes.add("Mul", x, width), LOW, output=DENOISED)
    facts = {"version": __version__, "noise": repr(domain.noise), **about}
    return nodes.file(weights["entry.weight"].shape[1], _SCALARS, facts)


def _padded(nodes: Nodes, x: str) -> tuple[str, str]:
    """Repeat the last row and column up to multiples of `STEP`; and give the sides as they were."""
    two, four = nodes.constant("two", [2], np.int64), nodes.constant("four", [4], np.int64)
    sides = nodes.add("Slice", nodes.add("Shape", x), two, four)
    step = nodes.constant("step", [STEP, STEP], np.int64)
    missing = nodes.add("Mod", nodes.add("Sub", step, nodes.add("Mod", sides, step)), step)
    none = nodes.constant("none", [0] * 6, np.int64)
    return nodes.add("Pad", x, nodes.add("Concat", none, missing, axis=0), mode="edge"), sides


def _looked_up(nodes: Nodes, x: str, name: str, line: Array, values: Array) -> str:
    """Interpolate in a table, linearly, beyond its ends too."""
    even = np.linspace(line[0], line[-1], _PLACES)
    table = np.interp(even, line, values)
    first, step = nodes.constant(f"{name}.first", even[0]), nodes.constant(f"{name}.step", even[1] - even[0])
    place = nodes.add("Div", nodes.add("Sub", x, first), step)
    least, most = nodes.constant("least", 0.0), nodes.constant("last", float(_PLACES - 2))
    whole = nodes.add("Floor", nodes.add("Clip", place, least, most))
    index = nodes.add("Cast", whole, to=7)
    low = nodes.add("Gather", nodes.constant(f"{name}.table", table), index)
    rise = nodes.add("Gather", nodes.constant(f"{name}.rises", np.diff(table)), index)
    return nodes.add("Add", low, nodes.add("Mul", nodes.add("Sub", place, whole), rise))
