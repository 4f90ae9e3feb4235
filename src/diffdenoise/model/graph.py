"""The student as an ONNX graph, built from its weights: what `networks/unet.py` computes, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto

Weights = Mapping[str, NDArray[np.float32]]

#: Resolutions of the network, each half of the one before.
LEVELS = 3
#: Height and width of what it is given are multiples of this.
STEP = 1 << (LEVELS - 1)
#: Name of the graph's input and output.
NOISY, DENOISED = "noisy", "denoised"
#: Operators as ONNX 1.12 has them, in a file of the form that came with it: every later version reads both.
_OPERATORS, _FORM = 17, 8
#: Rows and columns that a residual block sees on either side: two 3x3 convolutions.
_BLOCK_REACH = 2


def reach() -> int:
    """Return how many pixels on either side an output pixel depends on, for places counted in whole `STEP`s.

    Backwards from the output: a 3x3 convolution reaches one pixel further, and a pixel comes from the pixel
    of half the resolution that it lies in.
    """
    far = 1
    for _ in range(LEVELS - 1):
        far = -(-(far + _BLOCK_REACH) // 2)
    far += _BLOCK_REACH
    for _ in range(LEVELS - 1):
        far = 2 * far + _BLOCK_REACH
    return far + 1


def shapes(channels: int, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each of the student's tensors.

    Parameters
    ----------
    channels : int
        A slice and its neighbours.
    width : int
        Features at full resolution.
    """
    widths = [width * 2**level for level in range(LEVELS)]
    kernels = {"entry": (width, channels, 3, 3), "exit": (1, width, 3, 3)}
    for level, own in enumerate(widths):
        for blocks in ("down_blocks", "up_blocks")[: 1 + (level < LEVELS - 1)]:
            kernels |= {f"{blocks}.{level}.{conv}": (own, own, 3, 3) for conv in ("first", "second")}
    for level, (narrow, wide) in enumerate(pairwise(widths)):
        kernels |= {f"down.{level}": (wide, narrow, 2, 2), f"up.{level}": (wide, narrow, 2, 2)}
    found: dict[str, tuple[int, ...]] = {}
    for name, kernel in kernels.items():
        # A transposed convolution's outputs come second.
        outputs = kernel[1] if name.startswith("up.") else kernel[0]
        found |= {f"{name}.weight": kernel, f"{name}.bias": (outputs,)}
    return found


def student_graph(weights: Weights) -> bytes:
    """Return the student as an ONNX file.

    Parameters
    ----------
    weights : dict of str to float32 array
        Of the `shapes` of some number of channels and some width.

    Returns
    -------
    bytes
        A model from "noisy" (n, channels, h, w) to "denoised" (n, 1, h, w), float32, in tenths of the noise's
        std from the middle of the range; h and w are multiples of `STEP`.
    """
    nodes = Nodes()
    nodes.student(weights, NOISY, output=DENOISED)
    return nodes.file(weights["entry.weight"].shape[1], {})


class Nodes:
    """The nodes of a graph, one added after the other; methods return the name of what a node gives."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, NDArray[Any]] = {}

    def file(
        self, channels: int, scalars: Mapping[str, str], about: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the graph as an ONNX file.

        Parameters
        ----------
        channels : int
            Of what it is given.
        scalars : dict of str to str
            Numbers that it is given beside, and what they are.
        about : dict of str to str, optional
            Kept in the file.
        """
        from onnx import TensorProto, helper, numpy_helper

        def image(name: str, channels: int) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])

        numbers = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [], doc_string=what)
            for name, what in scalars.items()
        ]
        graph = helper.make_graph(
            self._nodes,
            "student",
            [image(NOISY, channels), *numbers],
            [image(DENOISED, 1)],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPERATORS)],
            ir_version=_FORM,
            producer_name="diffdenoise",
        )
        helper.set_model_props(model, dict(about or {}))
        return bytes(model.SerializeToString())

    def constant(self, name: str, value: Any, kind: type[np.generic] = np.float32) -> str:
        """Add a constant, and return its name."""
        self._constants[name] = np.asarray(value, kind)
        return name

    def student(self, weights: Weights, noisy: str, output: str | None = None) -> str:
        """Add the student's, as `UNet.forward` runs it."""
        for name, value in weights.items():
            self.constant(name, np.ascontiguousarray(value))
        x = self._convolve(noisy, "entry")
        skips: list[str] = []
        for level in range(LEVELS):
            if level:
                skips.append(x)
                x = self._convolve(x, f"down.{level - 1}", pads=[0] * 4, strides=[2, 2])
            x = self._block(x, f"down_blocks.{level}")
        for level in reversed(range(LEVELS - 1)):
            up = self.add("ConvTranspose", x, f"up.{level}.weight", f"up.{level}.bias", strides=[2, 2])
            x = self._block(self.add("Add", up, skips[level]), f"up_blocks.{level}")
        centre = self.centre(noisy)
        return self.add("Add", centre, self._convolve(x, "exit"), output=output)

    def centre(self, channels: str) -> str:
        """Add the choice of the first channel."""
        first, last = self.constant("0", [0], np.int64), self.constant("1", [1], np.int64)
        return self.add("Slice", channels, first, last, last)

    def _block(self, x: str, name: str) -> str:
        inner = self.add("Relu", self._convolve(x, f"{name}.first"))
        return self.add("Add", x, self._convolve(inner, f"{name}.second"))

    def _convolve(
        self, x: str, name: str, pads: tuple[int, ...] | list[int] = (1, 1, 1, 1), **how: Any
    ) -> str:
        return self.add("Conv", x, f"{name}.weight", f"{name}.bias", pads=list(pads), **how)

    def add(self, kind: str, *inputs: str, output: str | None = None, **how: Any) -> str:
        """Add a node."""
        from onnx import helper

        name = output or f"{kind}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **how))
        return name
