"""What a run has done so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from diffdenoise.work.batch import Failure
from diffdenoise.work.jobs import Job
from diffdenoise.work.order import Order
from diffdenoise.work.result import Result


@dataclass
class Report:
    """What came of an order.

    Attributes
    ----------
    order : Order
        What was wanted.
    target : str
        Where results are.
    skipped : dict of str to int
        Why files of the inputs were passed over, and how many for each reason.
    scans : list of dict
        Of each scan that is done: where it is, the noise found and what was taken off.
    failures : list of Failure
        Scans without a result.
    left : int
        Scans that were already clean, and left as they are.
    done_before : int
        Scans that an earlier run has done.
    seconds : float
        What it took.
    """

    order: Order
    target: str
    skipped: dict[str, int]
    scans: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    left: int = 0
    done_before: int = 0
    seconds: float = 0.0

    def add(self, job: Job, result: Result) -> None:
        """Take in a scan that is done."""
        known = (
            *("noise_std", "noise_percent_of_range", "noise_std_by_brightness"),
            *("contradiction", "residual_std", "residual_percent_of_range", "doubts"),
        )
        self.scans.append(
            {
                "input": job.origin,
                "output": str(job.target),
                "notices": [*job.notices, *result.record["notices"]],
                "left_as_it_is": result.is_unchanged,
                "weights": (result.record["training"] or {}).get("weights"),
                **{name: result.record[name] for name in known},
                **({"verdict": result.record["verdict"]} if "verdict" in result.record else {}),
            }
        )
        self.left += bool(result.record["already_clean"])

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        order, extras = self.order, self.order.extras
        kept = order.model or order.save_model
        written = {"picture": extras.picture, "residual": extras.residual, "noise_map": extras.noise}
        written |= {"uncertainty": extras.uncertainty, "report": extras.report}
        inputs = [str(path) for path in order.inputs]
        report: dict[str, Any] = {
            "input": inputs[0] if len(inputs) == 1 else inputs,
            "output": self.target,
            "model": None if kept is None else str(kept),
            "already_clean": bool(self.scans) and self.left == len(self.scans),
            "seconds": self.seconds,
            **{name: str(path) for name, path in written.items() if path is not None},
        }
        if self.done_before:
            report["done_before"] = self.done_before
        if self.skipped:
            report["passed_over"] = self.skipped
        if self.failures:
            report["failed"] = [{"scan": each.name, "reason": each.reason} for each in self.failures]
        return report
