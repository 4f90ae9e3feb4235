"""How much memory and time a file may take: by what it states, and by two environment variables."""

from __future__ import annotations

import math
import os

from diffdenoise.errors import FormatError, SettingsError

#: Bytes (in GiB) that whatever a compressed file holds may unpack to, and that decoding it may take.
MEMORY_SETTING = "DIFFDENOISE_MEMORY_LIMIT"
#: Seconds that decoding one file may take, beside what goes with its size.
TIME_SETTING = "DIFFDENOISE_TIME_LIMIT"
#: Without a setting, a file may unpack to this many bytes, or to this many times its own size if that is
#: more. Images shrink 2 to 20 times; only those of nothing but air, and bombs, shrink more.
LEAST_BYTES, MOST_SHRINKAGE = 128 * 2**20, 64
#: What a decoder takes beside the voxels, and copies of these that it makes at the most.
_ROOM_BYTES, _COPIES = 384 * 2**20, 3
#: Slow decoders on busy machines: seconds for a start, and bytes a second of what is stored and of voxels.
_START_S, _STORED_A_SECOND, _VOXELS_A_SECOND = 3.0, 0.6e6, 64e6


def most_unpacked(held: int, least: int = LEAST_BYTES, shrinkage: int = MOST_SHRINKAGE) -> int:
    """Return how many bytes a compressed file of `held` bytes may unpack to.

    Raises
    ------
    SettingsError
        If the environment variable is no number.
    """
    given = _setting(MEMORY_SETTING)
    return max(least, shrinkage * held) if given is None else int(given * 2**30)


def decoder_memory(stated: int) -> int:
    """Return how many bytes of memory the decoder of `stated` bytes of voxels may take."""
    given = _setting(MEMORY_SETTING)
    return max(_ROOM_BYTES + _COPIES * stated, 0 if given is None else int(given * 2**30))


def decoder_seconds(stated: int, held: int) -> float:
    """Return how long it may take to decode `held` bytes to `stated` bytes of voxels, in seconds."""
    given = _setting(TIME_SETTING)
    return (_START_S if given is None else given) + held / _STORED_A_SECOND + stated / _VOXELS_A_SECOND


def refuse_unpacked(name: str, stated: int, most: int) -> None:
    """Raise `FormatError` if a file states more bytes than it may unpack to."""
    if stated > most:
        raise FormatError(
            f"{name}: unpacks to {stated:,} bytes, over the limit of {most:,}; it may be damaged, or made to "
            f"exhaust the memory; if you trust it, set {MEMORY_SETTING} to the GiB that it may take"
        )


def _setting(name: str) -> float | None:
    """A number above 0 from the environment; None where it isn't set."""
    given = os.environ.get(name)
    if not given:
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SettingsError(f"{name}: is no number above 0; expected one, such as 8; change it or unset it")
    return value
