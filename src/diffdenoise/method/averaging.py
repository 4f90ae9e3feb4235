"""Over how many copies of a slice the student's output is averaged: as many as there is time for."""

from __future__ import annotations

from collections.abc import Callable

from diffdenoise.method import choices
from diffdenoise.plan import Plan
from diffdenoise.training.workspace import Workspace


def axes(plan: Plan, workspace: Workspace, budget_s: float, once_s: Callable[[], float]) -> int:
    """Return along how many axes volumes are to be cut into slices, chosen once a run.

    Parameters
    ----------
    plan : Plan
        The scans.
    workspace : Workspace
        Keeps what was chosen.
    budget_s : float
        Of the whole run; 0: none.
    once_s : callable
        Seconds to denoise all slices once.
    """
    found = workspace.figure("axes")
    if found is None:
        most = plan.most_axes
        found = 1 if most == 1 else choices.affordable_axes(budget_s, once_s(), most)
        workspace.keep("axes", found)
    return int(found)


def orientations(plan: Plan, workspace: Workspace, budget_s: float, once_s: Callable[[], float]) -> int:
    """Return how many turned and mirrored copies are averaged; parameters as of `axes`."""
    if plan.settings.stage3.orientations is not None:
        return plan.settings.stage3.orientations
    found = workspace.figure("orientations")
    if found is None:
        most = len(plan.noise.correlation.alike_turns())
        all_axes_s = axes(plan, workspace, budget_s, once_s) * once_s()
        found = choices.affordable_orientations(budget_s, all_axes_s, most)
        workspace.keep("orientations", found)
    return int(found)
