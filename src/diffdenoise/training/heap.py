"""Memory that training has freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def trim() -> None:
    """Return freed memory to the system, where the C library would keep it.

    What glibc keeps of the many small pieces that training takes is of no use for the few large ones that
    come after it: about 200 MB.
    """
    if sys.platform == "linux":
        # Only glibc has it.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
