"""What `diffdenoise info` prints of a model folder."""

from __future__ import annotations

from typing import Any

from diffdenoise.cli.show import duration, number, print_rows

#: Characters of a text in a record, which anyone may have written, that are shown.
_LONGEST = 100


def print_model(facts: dict[str, Any]) -> None:
    """Print what `model_facts` tells, a property a line."""
    record = facts["record"]
    data, stages = record["data"], record["stages"]
    steps = [f"{name} {stage['steps']['steps']}" for name, stage in stages.items()]
    modalities = sorted({one["modality"] for one in record["trained_on"] if one["modality"]})
    print_rows(
        [
            ("model", facts["model"]),
            ("made by", f"diffdenoise {record['versions'].get('diffdenoise', '?')}"),
            (
                "trained on",
                f"{_text(data.get('slices'))} slices of {_text(data.get('slice_sizes'))} pixels, of "
                f"{_text(data.get('scans'))} scan(s); fingerprint {record['fingerprint'][:16]}",
            ),
            *([("modality", ", ".join(modalities))] if modalities else []),
            ("noise level", _noise(facts)),
            ("takes", _inputs(record["neighbours"])),
            ("orientations", f"{record['orientations']}, averaged"),
            ("slices along", f"{record['axes']} axis" if record["axes"] == 1 else "3 axes, averaged"),
            ("weights", _weights(record["kept_share"])),
            ("steps", ", ".join(steps) or "unknown"),
            ("training", _training(record)),
        ]
    )


def _text(value: Any) -> str:
    """What the record says for people, which has no form."""
    said = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "?" if value is None else said[:_LONGEST]


def _noise(facts: dict[str, Any]) -> str:
    record = facts["record"]
    down, right = facts["noise_correlation_px"]
    kind = f"correlated over {down:.2g} x {right:.2g} px" if max(down, right) > 0 else "white"
    if record["rician_std"] is not None:
        coils = record["coils"]
        kind += ", Rician" if coils == 1 else f", noncentral chi of {coils} coils"
        kind += ": its bias is undone"
    if record["noise"].get("place"):
        kind += ", varies from place to place"
    return f"{number(facts['noise_percent_of_range'], 2)} % of the range, {kind}"


def _inputs(neighbours: int) -> str:
    if not neighbours:
        return "a slice by itself"
    return f"a slice and {neighbours} on either side: volumes of {2 * neighbours} slices at least"


def _weights(share: float) -> str:
    if not share:
        return "those that training began with, which did better"
    return "trained" if share == 1 else f"trained; {share:.0%} of what that changed is kept"


def _training(record: dict[str, Any]) -> str:
    where = ", ".join(word for word in (record["device"], record["precision"]) if word)
    return f"{duration(record['seconds'])}{f' on {where}' if where else ''}"
