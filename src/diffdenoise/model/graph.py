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
    from onnx import TensorProto, helper, numpy_helper

    constants: dict[str, NDArray[Any]] = {
        **{name: np.ascontiguousarray(value, dtype=np.float32) for name, value in weights.items()},
        "0": np.array([0], np.int64),
        "1": np.array([1], np.int64),
    }

    def image(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])

    graph = helper.make_graph(
        _Nodes().student(),
        "student",
        [image(NOISY, weights["entry.weight"].shape[1])],
        [image(DENOISED, 1)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPERATORS)],
        ir_version=_FORM,
        producer_name="diffdenoise",
    )
    return bytes(model.SerializeToString())


class _Nodes:
    """The nodes of a graph, one added after the other; methods return the name of what a node gives."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []

    def student(self) -> list[NodeProto]:
        """Return those of the student, as `UNet.forward` runs it."""
        x = self._convolve(NOISY, "entry")
        skips: list[str] = []
        for level in range(LEVELS):
            if level:
                skips.append(x)
                x = self._convolve(x, f"down.{level - 1}", pads=[0] * 4, strides=[2, 2])
            x = self._block(x, f"down_blocks.{level}")
        for level in reversed(range(LEVELS - 1)):
            up = self._add("ConvTranspose", x, f"up.{level}.weight", f"up.{level}.bias", strides=[2, 2])
            x = self._block(self._add("Add", up, skips[level]), f"up_blocks.{level}")
        centre = self._add("Slice", NOISY, "0", "1", "1")
        self._add("Add", centre, self._convolve(x, "exit"), output=DENOISED)
        return self._nodes

    def _block(self, x: str, name: str) -> str:
        inner = self._add("Relu", self._convolve(x, f"{name}.first"))
        return self._add("Add", x, self._convolve(inner, f"{name}.second"))

    def _convolve(
        self, x: str, name: str, pads: tuple[int, ...] | list[int] = (1, 1, 1, 1), **how: Any
    ) -> str:
        return self._add("Conv", x, f"{name}.weight", f"{name}.bias", pads=list(pads), **how)

    def _add(self, kind: str, *inputs: str, output: str | None = None, **how: Any) -> str:
        from onnx import helper

        name = output or f"{kind}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **how))
        return name
