"""Settings that would be of no effect: those of a training, where nothing is trained."""

from __future__ import annotations

from operator import attrgetter

from diffdenoise.config import Settings, known_keys
from diffdenoise.errors import SettingsError, option

#: Settings that count all the same.
_AT_ONCE = (
    *("noise_std", "noise_std_as_told", "clean_below_contrast", "rician_bias"),
    *("data.axis", "data.neighbours", "stage3.orientations"),
)


def check_at_once(settings: Settings, weights: str | None = None) -> None:
    """Raise an error for settings that are of no effect where nothing is trained.

    Parameters
    ----------
    settings : Settings
        As given.
    weights : str, optional
        Name of the package's weights that were asked for.

    Raises
    ------
    SettingsError
        If one has another value than it has by itself.
    """
    if settings.trains:
        if weights is not None:
            raise SettingsError(
                f"{option('model', weights)}: these weights are taken as they are, and nothing is trained; "
                f"leave out {option('minutes', python='minutes')} and schedule, or the name"
            )
        return
    usual = Settings()
    values = {name: attrgetter(name) for name in known_keys() if name not in _AT_ONCE}
    idle = [name for name, value in values.items() if value(settings) != value(usual)]
    if idle:
        raise SettingsError(
            f"setting {', '.join(idle)}: has an effect on a training only, and nothing is trained; "
            f"add {option('minutes', '10', python='minutes=10')}, or leave out what has none"
        )
