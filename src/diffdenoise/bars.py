"""Progress of a Python call as bars: in notebooks as widgets, elsewhere as text on standard error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffdenoise.types import Progress, Quiet


class Bars:
    """A `Progress` of one tqdm bar a stage."""

    def __init__(self) -> None:
        # Imported here: it looks for a notebook, and says so where that lacks its widgets.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
        self._kind: Any = tqdm
        self._bar: Any = None

    def start(self, stage: str) -> None:
        """Begin a new bar below the finished ones."""
        self.close()
        self._bar = self._kind(desc=stage, unit="step", total=None)

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """Move the bar."""
        if self._bar is None:
            return
        if total != self._bar.total:
            # `reset` tells a notebook's widget too; the time that it has run goes on.
            began = self._bar.start_t
            self._bar.reset(total=total)
            self._bar.start_t = began
        if loss is not None:
            self._bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
        self._bar.update(step - self._bar.n)

    def finish(self) -> None:
        """Leave the bar standing."""
        self.close()

    def say(self, text: str) -> None:
        """Print one line beside the bars."""
        self._kind.write(text)

    def close(self) -> None:
        """End the bar, wherever it is."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


@contextmanager
def watching(progress: Progress | bool | None) -> Iterator[Progress]:
    """Yield what is told of a run: bars for True, nothing for False or None; bars always end."""
    if not isinstance(progress, bool) and progress is not None:
        yield progress
        return
    if not progress:
        yield Quiet()
        return
    bars = Bars()
    try:
        yield bars
    finally:
        bars.close()
