"""The stages of one training, a method each, and what they hand on to each other."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import Tensor, nn

from diffdenoise.config import Steps, round_name, stage_names
from diffdenoise.method import (
    averaging,
    blind_spot,
    calibration,
    choices,
    diffusion,
    kept,
    networks,
    refinement,
    student,
    windows,
)
from diffdenoise.method.compare import ALPHA, risks, within
from diffdenoise.method.inference_time import inference_s
from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.method.recorruption import Recorruption
from diffdenoise.method.step_data import ConditionOf, StepData
from diffdenoise.method.teacher import Teacher
from diffdenoise.method.windows import COMPARED_SIDE, samples, target_order
from diffdenoise.plan import Plan
from diffdenoise.training.clock import OVER, Clock, StagePlan
from diffdenoise.training.fit import LossOf, fit
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.overall import WithOverall
from diffdenoise.training.slices import Slices
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Progress

#: Side in pixels of what is computed of a slice as a target: a large X-ray takes minutes as a whole.
_TARGET_SIDE = 512
#: Slices on which teacher and student are compared; sides in pixels of the parts of them of which the largest
#: is taken that is compared in this share of the time budget.
_COMPARED, _SIDES, _COMPARED_SHARE = 2, (64, 96, 128, 192, COMPARED_SIDE), 0.05


class Stages:
    """One training: the networks, what they share, and a method a stage.

    Parameters
    ----------
    plan : Plan
        The scans, and what is to be done with them.
    workspace : Workspace
        Where the state is kept.
    hardware : Hardware
        Device and precision.
    progress : Progress
        Told about stages and steps.
    checkpoint_s : float
        Seconds between checkpoints.
    keep_time : bool
        Whether a part of the budget is kept for denoising; a benchmark spends all of it on training.
    now : callable
        Source of seconds; a benchmark on a busy machine counts those of the processor.
    """

    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        hardware: Hardware,
        progress: Progress,
        checkpoint_s: float,
        *,
        keep_time: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.workspace = workspace
        self.hardware = hardware
        self._checkpoint_s = checkpoint_s
        self._now = now
        self._keeps_time = keep_time
        # The student is told the spectrum as it lies in the scan.
        turns = plan.noise.correlation.alike_turns()
        self.slices = Slices(plan.entered, plan.neighbours, turns=turns)
        data, seed = self.settings.data, self.settings.seed
        self._held_out = windows.held_out(self.slices, data.patch, seed) if kept.is_judged(plan) else []
        self.slices.hold_out(self._held_out)
        self._data = StepData(self.slices, self.settings, hardware.device)
        minutes = self.settings.minutes
        self._budget_s = 0.0 if minutes is None else 60 * minutes
        kept_s = choices.RESERVE * self._budget_s * keep_time
        self._clock = Clock(None if minutes is None else self._budget_s - kept_s, workspace.spent_s, now)
        self._progress = WithOverall(
            progress,
            self._clock,
            self._budget_s,
            stage_names(self.settings),
            self.settings.schedule,
        )
        self.residual_std = 0.0
        self.networks = networks.begin(plan, hardware)

    def blind_spot(self) -> None:
        """Stage 1."""
        noise = self.plan.domain.own_noise()
        network = self.networks.blind_spot
        loss = blind_spot.step_loss(
            self._data, network, self.plan.blind_spot, noise.typical_std, noise.least_std
        )
        rate = self.settings.stage1.learning_rate
        self._train("blind-spot", "stage 1 of 3: blind-spot network", network, loss, rate, 0)

    def diffusion(self, round_number: int) -> None:
        """Stage 2; a later round starts from the weights of the one before."""
        self.residual_std = self._kept_residual_std(round_number)
        name = round_name("diffusion", round_number)
        loss = diffusion.step_loss(
            self._data,
            self.networks.diffusion,
            self.condition_of(round_number),
            self.plan.blind_spot,
            self.residual_std,
            name,
        )
        rate = self.settings.stage2.learning_rate
        title = self._title(2, "diffusion model", round_number)
        self._train(name, title, self.networks.diffusion, loss, rate, round_number)

    def targets(self, round_number: int) -> None:
        """Stage 2's estimates of as many slices as the time allows, computed once and cached."""
        name = round_name("targets", round_number)
        if self.workspace.is_done(name):
            return
        wanted = self.settings.schedule.get(name)
        began = self._clock.spent_s
        if (wanted is not None and not wanted.steps) or not self._teacher_knows_more(round_number):
            self._skip(name, began)
            return
        seconds = 0.0 if wanted else self._seconds("targets", round_number)
        plan = StagePlan(wanted, seconds, self._now)
        self._progress.enter(name)
        self._progress.start(self._title(3, "targets by symmetric sampling", round_number))
        teacher = self.teacher(round_number)
        order = target_order(self.slices, self.settings.data.patch, self.settings.seed)
        for done, number in enumerate(order, 1):
            self._target(name, number, teacher, round_number)
            total = min(len(order), plan.total() or len(order))
            self._progress.advance(done, total, None, plan.seconds_left())
            if not plan.after_step(done):
                break
        self._progress.advance(done, done, None, None)
        self._progress.finish()
        seconds = round(self._clock.spent_s - began, 1)
        self.workspace.finish(name, None, Steps(steps=done), self._clock.spent_s, seconds=seconds)

    def _target(self, name: str, number: int, teacher: Teacher, round_number: int) -> None:
        """Compute and cache the target of one slice, or of a window of it, unless it is there."""
        if self.workspace.target(name, number) is not None:
            return
        window = windows.target_window(self.slices, number, _TARGET_SIDE, self.settings.seed)
        noisy = self.slices.whole(number, window).to(self.hardware.device)
        target = teacher.target(noisy, number, choices.target_kind(self.settings, round_number))
        self.workspace.keep_target(name, number, (window.top, window.left), target[0, 0].cpu())

    def student(self, round_number: int) -> None:
        """Stage 3: distillation, unless there are no targets because the student knows more."""
        name = round_name("student", round_number)
        targets = round_name("targets", round_number)
        if not self.workspace.stages[targets]["steps"]["steps"]:
            if not self.workspace.is_done(name):
                self._skip(name, self._clock.spent_s)
            return
        found = {number: self.workspace.target(targets, number) for number in range(len(self.slices))}
        made = {number: target for number, target in found.items() if target is not None}
        network = self.networks.student
        loss = student.step_loss(self._data, network, made, self._level, name)
        title = self._title(3, "distillation", round_number)
        self._train(name, title, network, loss, choices.student_rate(self.plan), round_number)

    def refine(self, round_number: int) -> None:
        """Stage 3, second part: the student minimises an unbiased risk on the noisy scan."""
        if not self.settings.stage3.refine:
            return
        name = round_name("refine", round_number)
        network = self.networks.student
        loss = refinement.step_loss(self._data, network, self._recorruption(choices.alpha(self.plan)), name)
        title = self._title(3, "refinement", round_number)
        rate, most = choices.student_rate(self.plan), choices.most_steps(self.plan)
        self._train(name, title, network, loss, rate, round_number, most)

    def what_is_kept(self) -> kept.Kept:
        """The student to be delivered: see `kept.what_is_kept`."""
        trained, say = self.networks.student, self._progress.say
        return kept.what_is_kept(self.plan, self.slices, self._held_out, trained, self.hardware, say)

    def _skip(self, name: str, began: float) -> None:
        """Note that a stage was left out, and what finding that out took."""
        spent = self._clock.spent_s
        self.workspace.finish(name, None, Steps(steps=0), spent, seconds=round(spent - began, 1))

    def _teacher_knows_more(self, round_number: int) -> bool:
        """Whether the student would learn from stage 2, by an unbiased risk on the noisy scan.

        A student that begins with synthetic weights, or with those of the round before, may be better than a
        teacher of a few minutes; distillation would undo that.
        """
        told = {round_name(stage, round_number) for stage in ("targets", "student")}
        if told & self.settings.schedule.keys() or not self.settings.stage3.refine:
            return True
        name = round_name("risks", round_number)
        found = self.workspace.figure(name)
        if found is None:
            self._progress.start(self._title(3, "teacher and student compared", round_number))
            seed, kind = self.settings.seed, choices.target_kind(self.settings, round_number)

            def own(noisy: Tensor, _: int, level: float) -> Tensor:
                with self.hardware.autocast():
                    return student.denoise(self.networks.student, noisy, level)

            order = target_order(self.slices, self.settings.data.patch, seed)[:_COMPARED]

            def compare(side: int) -> list[float]:
                teacher = self.teacher(round_number, side)
                compared = samples(self.slices, order, side, seed, self.hardware.device)

                def taught(noisy: Tensor, number: int, _: float) -> Tensor:
                    return teacher.target(noisy, number, kind)

                recorruption = self._recorruption(ALPHA)
                return [float(one) for one in risks(compared, (taught, own), recorruption, seed).mean(0)]

            if self._budget_s:
                found = within(_COMPARED_SHARE * self._budget_s, compare, _SIDES, self._now)
            else:
                found = compare(COMPARED_SIDE)
            self.workspace.keep(name, found)
            self._progress.finish()
        taught_risk, own_risk = found
        return bool(taught_risk < own_risk)

    # What the stages hand on.

    def condition_of(self, round_number: int) -> ConditionOf:
        """Condition of a round: the blind-spot network first, then the student of the round before."""
        if round_number == 1:
            return lambda noisy: self._predict(noisy)[0]
        # A copy: the student itself goes on learning in this round.
        previous = networks.new_student(self.plan, self.hardware)
        last = list(choices.parts_of(self.plan))[-1]
        self.workspace.load(round_name(last, round_number - 1), previous)
        return lambda noisy: student.denoise(previous, noisy, self._level)

    def teacher(self, round_number: int, side: int = COMPARED_SIDE) -> Teacher:
        """The diffusion model of a round; its variance is corrected by what windows of `side` pixels say."""

        def variance(noisy: Tensor) -> Tensor:
            return self.variance(noisy, side)

        return Teacher(
            self.networks.diffusion,
            self.condition_of(round_number),
            variance,
            residual_std=self.residual_std,
            sampling=self.settings.sampling,
            noise=self.noise_draws(),
            noise_std=self._level,
            draws=self.settings.stage3.draws,
            alpha=choices.alpha(self.plan),
            hardware=self.hardware,
            seed=self.settings.seed,
        )

    def noise_draws(self) -> NoiseDraws:
        """The scan's noise in its domain, on the device."""
        return NoiseDraws(self.plan.domain.own_noise(), self.hardware.device)

    def _recorruption(self, alpha: float) -> Recorruption:
        plan, device = self.plan, self.hardware.device
        return Recorruption(plan.domain, plan.noise, alpha, device, skewed=plan.diagnosis.is_skewed)

    @property
    def _level(self) -> float:
        """Typical std of the noise in the scan's domain."""
        return self.plan.domain.level

    def _predict(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """Stage 1's mean and variance of each pixel given its surroundings."""
        network = self.networks.blind_spot
        least = self.plan.domain.own_noise().least_std
        return blind_spot.predict(network, noisy, self.plan.blind_spot, least)

    def variance(self, noisy: Tensor, side: int = COMPARED_SIDE) -> Tensor:
        """Stage 1's variance, corrected by what its mean misses by: see `calibration`."""
        # Of the whole side it is for targets, which a repeated run must find again: that one is kept.
        name = "variance" if side == COMPARED_SIDE else f"variance-{side}"
        points, std_of = self.workspace.figure(name), self.noise_draws().std
        if points is None:
            numbers = windows.evenly_spaced(self.slices)
            shown = samples(self.slices, numbers, side, self.settings.seed, self.hardware.device)
            points = calibration.measure(shown, self._predict, std_of)
            self.workspace.keep(name, points)
        return calibration.calibrated(self._predict(noisy)[1], std_of(noisy[:, :1]), points)

    def _kept_residual_std(self, round_number: int) -> float:
        """Std of noisy - condition, computed once a round."""
        name = round_name("residual_std", round_number)
        found = self.workspace.figure(name)
        if found is None:
            numbers = windows.evenly_spaced(self.slices)
            shown = samples(self.slices, numbers, COMPARED_SIDE, self.settings.seed, self.hardware.device)
            found = diffusion.measure_residual_std(shown, self.condition_of(round_number), self.hardware)
            self.workspace.keep(name, found)
        return float(found)

    # One way to train them all.

    def _seconds(self, stage: str, round_number: int) -> float:
        """Seconds for a stage; the last leaves those that denoising takes."""
        seconds = choices.seconds_for(stage, round_number, self.plan, self._clock)
        if self._is_last(stage, round_number) and self._keeps_time:
            pixels = sum(height * width for height, width in map(self.slices.size, range(len(self.slices))))
            judged = kept.PIXELS / pixels
            rest_s = self._inference_s() * (self.axes * self.orientations + choices.AFTERWARDS + judged)
            seconds = max(1.0, seconds - max(0.0, rest_s - choices.RESERVE * self._budget_s))
        return seconds

    def _is_last(self, stage: str, round_number: int) -> bool:
        return stage == list(choices.parts_of(self.plan))[-1] and round_number == self.settings.iterations

    @property
    def orientations(self) -> int:
        """Copies of a slice that the student's output is to be averaged over."""
        return averaging.orientations(self.plan, self.workspace, self._budget_s, self._inference_s)

    @property
    def axes(self) -> int:
        """Axes that volumes are to be cut into slices along."""
        return averaging.axes(self.plan, self.workspace, self._budget_s, self._inference_s)

    def _inference_s(self) -> float:
        """Seconds to denoise all slices once, told by a batch of patches."""
        side, _ = self.slices.fitting(self.settings.data.patch)
        shape = (self.settings.data.batch, self.slices.channels, side, side)
        sizes = [self.slices.size(k) for k in range(len(self.slices)) if not self.slices.is_empty(k)]
        return inference_s(self.networks.student, shape, sizes, self.hardware.device.type, self._now)

    def _train(
        self,
        name: str,
        title: str,
        network: nn.Module,
        loss: LossOf,
        rate: float,
        round_number: int,
        most: int | None = None,
    ) -> None:
        """Train one stage, or load it if it is done."""
        if self.workspace.is_done(name):
            self.workspace.load(name, network)
            return
        wanted = self.settings.schedule.get(name)
        base = name.rpartition("-")[0] if round_number > 1 else name
        plan = StagePlan(
            wanted,
            0.0 if wanted else self._seconds(base, round_number),
            self._now,
            over=0.0 if self._is_last(base, round_number) else OVER,
            most=most,
        )
        began = self._clock.spent_s
        self._progress.enter(name)
        self._progress.start(title)
        curve = fit(
            network,
            loss,
            plan,
            learning_rate=rate,
            hardware=self.hardware,
            folder=self.workspace.stage_folder(name),
            progress=self._progress,
            checkpoint_s=self._checkpoint_s,
        )
        self._progress.finish()
        # A resumed stage's time includes what it took before it was stopped.
        self._clock.set_spent(began + plan.spent_s)
        self.workspace.finish(
            name, network, plan.steps(), self._clock.spent_s, seconds=round(plan.spent_s, 1), losses=curve
        )

    def _title(self, stage: int, what: str, round_number: int) -> str:
        rounds = self.settings.iterations
        return f"stage {stage} of 3: {what}" + (f" (round {round_number} of {rounds})" if rounds > 1 else "")
