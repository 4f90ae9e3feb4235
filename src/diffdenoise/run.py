"""One training run: a method a stage, and what the stages hand on to each other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from diffdenoise.budget import RESERVE, WIDE_FROM, affordable_orientations, parts_of, seconds_for
from diffdenoise.config import Steps, round_name, stage_names
from diffdenoise.model import student_network
from diffdenoise.networks.blind_spot import BlindSpotNet
from diffdenoise.networks.start import load_start
from diffdenoise.networks.unet import UNet
from diffdenoise.plan import Plan
from diffdenoise.stages import blind_spot, distil
from diffdenoise.training import steps
from diffdenoise.training.clock import Clock, StagePlan
from diffdenoise.training.compare import Sample, blind_risks, risks
from diffdenoise.training.fit import LossOf, fit
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.noise_draws import NoiseDraws
from diffdenoise.training.overall import WithOverall
from diffdenoise.training.slices import Slices, Target
from diffdenoise.training.steps import mean_of_known
from diffdenoise.training.teacher import Teacher
from diffdenoise.training.windows import evenly_spaced, target_order, target_window
from diffdenoise.training.workspace import Workspace
from diffdenoise.trust.result_check import check_result
from diffdenoise.types import Progress

#: Peak learning rates of a student that knows the kind of noise from synthetic pictures, and of others.
RATE_SYNTHETIC, RATE_RANDOM = 1e-3, 2e-3
#: Share that is kept of what refinement changes in synthetic weights, where noise is Rician and recorruption
#: only approximates it: the mean of the weights before and after fine-tuning forgives more (Wortsman et al.
#: 2022, "Robust fine-tuning of zero-shot models").
_UNSURE_SHARE = 0.75
#: Side in pixels of what is computed of a slice as a target: a large X-ray takes minutes as a whole.
_TARGET_SIDE = 512
#: Recorruption strengths where the noise has one level, and where it varies with brightness.
_ALPHA_SURE, _ALPHA_UNSURE = 0.5, 1.0
#: Slices, and their side in pixels, on which teacher and student are compared.
_COMPARED, _COMPARED_SIDE = 2, 256
#: Slices on which the trained student is compared with the one that training began with.
_JUDGED = 4


class Run:
    """One training run: the networks, what they share, and a method a stage."""

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
        # Source of seconds; a benchmark on a busy machine counts those of the processor.
        self._now = now
        # Whether a part of the budget is kept for denoising; a benchmark spends all of it on training.
        self._keeps_time = keep_time
        self.slices = Slices(plan.stacks, plan.neighbours, plan.known)
        self._data = steps.StepData(self.slices, self.settings, hardware.device)
        minutes = self.settings.minutes
        self._budget_s = 0.0 if minutes is None else 60 * minutes
        self._clock = Clock(
            None if minutes is None else self._budget_s * (1 - RESERVE * keep_time), workspace.spent_s, now
        )
        self._progress = WithOverall(
            progress,
            self._clock,
            self._budget_s,
            stage_names(self.settings, plan.self_trains),
            self.settings.schedule,
        )
        self.residual_std = 0.0
        channels = self.slices.channels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            self._blind = hardware.place(BlindSpotNet(self.settings.stage1.width, neighbours=plan.neighbours))
            # Residual, condition and the neighbours go in.
            self._diffusion = hardware.place(
                UNet(channels + 1, 1, self.settings.stage2.width, level_input=True)
            )
            self._student = hardware.place(student_network(self.settings, plan.neighbours))
        if self.settings.starts_synthetic("stage1"):
            load_start(self._blind, "blind-spot")
        if self.settings.starts_synthetic("stage2"):
            load_start(self._diffusion, "diffusion")
        if self.settings.starts_synthetic("stage3"):
            load_start(self._student, "student")

    def blind_spot(self) -> None:
        """Stage 1."""
        loss = steps.blind_spot_loss(
            self._data,
            self._blind,
            self.plan.blind_spot,
            self.plan.noise.typical_std,
            self.plan.noise.least_std,
        )
        rate = self.settings.stage1.learning_rate
        self._train("blind-spot", "stage 1 of 3: blind-spot network", self._blind, loss, rate, 0)

    def diffusion(self, turn: int) -> None:
        """Stage 2; a later round starts from the weights of the one before."""
        self.residual_std = self._kept_residual_std(turn)
        name = round_name("diffusion", turn)
        loss = steps.diffusion_loss(
            self._data,
            self._diffusion,
            self.condition_of(turn),
            self.plan.blind_spot,
            self.residual_std,
            name,
        )
        rate = self.settings.stage2.learning_rate
        self._train(name, self._title(2, "diffusion model", turn), self._diffusion, loss, rate, turn)

    def targets(self, turn: int) -> None:
        """Stage 2's estimates of as many slices as the time allows, computed once and cached."""
        name = round_name("targets", turn)
        if self.workspace.is_done(name):
            return
        wanted = self.settings.schedule.get(name)
        began = self._clock.spent_s
        if (wanted is not None and not wanted.steps) or not self._teacher_knows_more(turn):
            self._skip(name, began)
            return
        seconds = 0.0 if wanted else self._seconds("targets", turn)
        plan = StagePlan(wanted, seconds, self._now)
        self._progress.enter(name)
        self._progress.start(self._title(3, "targets by symmetric sampling", turn))
        teacher = self.teacher(turn)
        done = 0
        seed = self.settings.seed
        order = target_order(self.slices, self.settings.data.patch, seed)
        for number in order:
            if self.workspace.target(name, number) is None:
                window = target_window(self.slices, number, _TARGET_SIDE, seed)
                noisy = self.slices.whole(number, window).to(self.hardware.device)
                target = teacher.target(noisy, number, self.target_kind(turn))
                self.workspace.keep_target(name, number, Target(window.top, window.left, target[0, 0].cpu()))
            done += 1
            total = min(len(order), plan.total() or len(order))
            self._progress.advance(done, total, None, plan.seconds_left())
            if not plan.after_step(done):
                break
        self._progress.advance(done, done, None, None)
        self._progress.finish()
        seconds = round(self._clock.spent_s - began, 1)
        self.workspace.finish(name, None, Steps(steps=done), self._clock.spent_s, seconds=seconds)

    def student(self, turn: int) -> None:
        """Stage 3: distillation, unless there are no targets because the student knows more."""
        name = round_name("student", turn)
        if not self._targets_made(turn):
            if not self.workspace.is_done(name):
                self._skip(name, self._clock.spent_s)
            return
        loss = steps.distillation_loss(
            self._data, self._student, self._read_targets(turn), self.plan.noise.typical_std, name
        )
        title = self._title(3, "distillation", turn)
        self._train(name, title, self._student, loss, self.student_rate, turn)

    def refine(self, turn: int) -> None:
        """Stage 3, second part: the student minimises an unbiased risk on the noisy scan."""
        if not self.settings.stage3.refine:
            return
        name = round_name("refine", turn)
        loss = steps.refinement_loss(self._data, self._student, self.noise_draws(), self.alpha, name)
        title = self._title(3, "refinement", turn)
        unsure = self.settings.starts_synthetic("stage3") and not self.plan.noise.is_constant
        share = _UNSURE_SHARE if unsure and not self.plan.self_trains else 1.0
        self._train(name, title, self._student, loss, self.student_rate, turn, share)

    def self_training(self, turn: int) -> None:
        """Stage 3, last part: the student learns from its own results with noise drawn anew."""
        if not self.plan.self_trains:
            return
        name = round_name("self-training", turn)
        teacher = self.hardware.place(student_network(self.settings, self.plan.neighbours))
        self.workspace.load(round_name("refine", turn), teacher)
        loss = steps.self_training_loss(self._data, self._student, teacher, self.noise_draws(), name)
        title = self._title(3, "self-training", turn)
        self._train(name, title, self._student, loss, self.student_rate, turn)

    def better_start(self) -> nn.Module | None:
        """Return the student that training began with, if the trained one is no better than that.

        A training that was too short, or was told a wrong level, may end behind the weights that it began
        with. The unbiased risk tells the first, if the noise is what the scan shows. The second shows in what
        is taken off: if that isn't like the scan's noise, the error at hidden pixels decides, for which no
        level is needed.
        """
        # Told to distil and no more, as in the paper, the student is what that gives.
        if not (self.settings.starts_synthetic("stage3") and self.settings.stage3.refine):
            return None
        start = self.hardware.place(student_network(self.settings, self.plan.neighbours))
        load_start(start, "student")
        seed = self.settings.seed
        order = target_order(self.slices, self.settings.data.patch, seed)[:_JUDGED]
        samples = list(self._samples(order, _COMPARED_SIDE))

        def of(network: nn.Module) -> Callable[[Tensor, int], Tensor]:
            def estimate(noisy: Tensor, _: int) -> Tensor:
                with self.hardware.autocast():
                    return distil.denoise(network, noisy)

            return estimate

        both = (of(self._student), of(start))
        shown = NoiseDraws(self.plan.diagnosis.noise, self.hardware.device)
        trained, untrained = risks(samples, both, shown, seed)
        if untrained <= trained:
            self._progress.say("training did not get beyond the weights that it began with: these are kept")
            return start
        doubts = self._doubts(samples, both[0])
        if not doubts:
            return None
        trained, untrained = blind_risks(samples, both, self.plan.blind_spot, seed)
        if untrained >= trained:
            return None
        self._progress.say(f"the trained network is not kept: {'; '.join(doubts)}")
        return start

    @torch.no_grad()
    def _doubts(self, samples: Sequence[Sample], estimate: Callable[[Tensor, int], Tensor]) -> list[str]:
        """What is wrong with what a network takes off."""
        noisy, denoised = [], []
        for sample in samples:
            before = sample.noisy[:, 0]
            if sample.known is not None:
                before = torch.where(sample.known[:, 0] > 0, before, torch.nan)
            noisy.append(before.cpu().numpy())
            denoised.append(estimate(sample.noisy, sample.number)[:, 0].float().cpu().numpy())
        found = check_result(noisy, denoised, self.plan.diagnosis)
        return [] if found is None else found.doubts

    def _skip(self, name: str, began: float) -> None:
        """Note that a stage was left out, and what finding that out took."""
        spent = self._clock.spent_s
        self.workspace.finish(name, None, Steps(steps=0), spent, seconds=round(spent - began, 1))

    def _targets_made(self, turn: int) -> int:
        return int(self.workspace.stages[round_name("targets", turn)]["steps"]["steps"])

    def _teacher_knows_more(self, turn: int) -> bool:
        """Whether the student would learn from stage 2, by an unbiased risk on the noisy scan.

        A student that begins with synthetic weights, or with those of the round before, may be better than a
        teacher of a few minutes; distillation would undo that.
        """
        told = {round_name("targets", turn), round_name("student", turn)} & self.settings.schedule.keys()
        if told or not self.settings.stage3.refine:
            return True
        name = round_name("risks", turn)
        kept = self.workspace.figure(name)
        if kept is None:
            self._progress.start(self._title(3, "teacher and student compared", turn))
            teacher, seed = self.teacher(turn), self.settings.seed

            def taught(noisy: Tensor, number: int) -> Tensor:
                return teacher.target(noisy, number, self.target_kind(turn))

            def own(noisy: Tensor, _: int) -> Tensor:
                with self.hardware.autocast():
                    return distil.denoise(self._student, noisy)

            order = target_order(self.slices, self.settings.data.patch, seed)[:_COMPARED]
            kept = risks(self._samples(order, _COMPARED_SIDE), (taught, own), self.noise_draws(), seed)
            self.workspace.keep(name, kept)
            self._progress.finish()
        taught_risk, own_risk = kept
        return bool(taught_risk < own_risk)

    # What the stages hand on.

    def condition_of(self, turn: int) -> Callable[[Tensor], Tensor]:
        """Condition of a round: the blind-spot network first, then the student of the round before."""
        if turn == 1:
            return lambda noisy: self._predict(noisy)[0]
        # A copy: the student itself goes on learning in this round.
        previous = self.hardware.place(student_network(self.settings, self.plan.neighbours))
        self.workspace.load(self._last_student(turn - 1), previous)
        return lambda noisy: distil.denoise(previous, noisy)

    def target_kind(self, turn: int) -> Literal["srds", "fusion", "corrected"]:
        """Kind of target in a round.

        A later round's condition has already used the noisy pixel, which must not count twice.
        """
        return self.settings.stage3.target if turn == 1 else "srds"

    def teacher(self, turn: int) -> Teacher:
        """The diffusion model of a round as an estimator."""
        return Teacher(
            self._diffusion,
            self.condition_of(turn),
            lambda noisy: self._predict(noisy)[1],
            residual_std=self.residual_std,
            sampling=self.settings.sampling,
            noise=self.noise_draws(),
            noise_std=self.plan.noise.typical_std,
            draws=self.settings.stage3.draws,
            alpha=self.alpha,
            hardware=self.hardware,
            seed=self.settings.seed,
        )

    @property
    def alpha(self) -> float:
        """Recorruption strength.

        With a noise level s in place of the true n, a share (n^2 - s^2) / (n^2 + alpha^2 s^2) of the
        noise is kept (or overdone): a larger alpha forgives more, a smaller one adds less noise.
        """
        if self.settings.stage3.alpha is not None:
            return self.settings.stage3.alpha
        return _ALPHA_SURE if self.plan.noise.is_constant else _ALPHA_UNSURE

    @property
    def student_rate(self) -> float:
        """Peak learning rate of the student."""
        if self.settings.stage3.learning_rate is not None:
            return self.settings.stage3.learning_rate
        knows = self.settings.starts_synthetic("stage3") and self.plan.blind_spot < WIDE_FROM
        return RATE_SYNTHETIC if knows else RATE_RANDOM

    def noise_draws(self) -> NoiseDraws:
        """The scan's noise on the device."""
        return NoiseDraws(self.plan.noise, self.hardware.device)

    def _predict(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """Stage 1's mean and variance of each pixel given its surroundings."""
        return blind_spot.predict(self._blind, noisy, self.plan.blind_spot, self.plan.noise.least_std)

    def _last_student(self, turn: int) -> str:
        return round_name(list(parts_of(self.plan))[-1], turn)

    def _read_targets(self, turn: int) -> dict[int, Target]:
        name = round_name("targets", turn)
        found = {number: self.workspace.target(name, number) for number in range(len(self.slices))}
        return {number: target for number, target in found.items() if target is not None}

    @torch.no_grad()
    def _kept_residual_std(self, turn: int) -> float:
        """Std of noisy - condition, computed once a round."""
        name = round_name("residual_std", turn)
        kept = self.workspace.figure(name)
        if kept is None:
            condition_of = self.condition_of(turn)
            squares, count = 0.0, 0
            for sample in self._samples(evenly_spaced(self.slices), _COMPARED_SIDE):
                with self.hardware.autocast():
                    residual = sample.noisy[:, :1] - condition_of(sample.noisy)
                squares += float(mean_of_known(residual.square(), sample.known))
                count += 1
            kept = max(math.sqrt(squares / count), 1e-4)
            self.workspace.keep(name, kept)
        return float(kept)

    def _samples(self, numbers: Iterable[int], side: int) -> Iterator[Sample]:
        """Slices, or a window of large ones, on the device."""
        for number in numbers:
            window = target_window(self.slices, number, side, self.settings.seed)
            noisy, known = self.slices.whole(number, window), self.slices.known(number, window)
            device = self.hardware.device
            yield Sample(number, noisy.to(device), None if known is None else known.to(device))

    # One way to train them all.

    def _seconds(self, stage: str, turn: int) -> float:
        """Seconds for a stage; the last leaves those that denoising takes."""
        seconds = seconds_for(stage, turn, self.plan, self._clock)
        is_last = stage == list(parts_of(self.plan))[-1] and turn == self.settings.iterations
        if is_last and self._keeps_time:
            inference_s = self._inference_s() * self.orientations
            seconds = max(1.0, seconds - max(0.0, inference_s - RESERVE * self._budget_s))
        return seconds

    @property
    def orientations(self) -> int:
        """Copies of a slice that the student's output is to be averaged over."""
        if self.settings.stage3.orientations is not None:
            return self.settings.stage3.orientations
        name = "orientations"
        kept = self.workspace.figure(name)
        if kept is None:
            kept = affordable_orientations(self._budget_s, self._inference_s())
            self.workspace.keep(name, kept)
        return int(kept)

    @torch.no_grad()
    def _inference_s(self) -> float:
        """Seconds to denoise all slices once, told by the second of two passes over a batch of patches."""
        side, _ = self.slices.fitting(self.settings.data.patch)
        count = self.settings.data.batch
        batch = torch.zeros(count, self.slices.channels, side, side, device=self.hardware.device)
        batch = batch.to(memory_format=torch.channels_last)
        began = self._now()
        for _ in range(2):
            began = self._now()
            with self.hardware.autocast():
                # Read back, as a GPU goes on computing after the call.
                float(distil.denoise(self._student, batch).sum())
        numbers = (number for number in range(len(self.slices)) if not self.slices.is_empty(number))
        pixels = sum(math.prod(self.slices.size(number)) for number in numbers)
        return (self._now() - began) * pixels / (count * side**2)

    def _train(
        self,
        name: str,
        title: str,
        network: nn.Module,
        loss: LossOf,
        rate: float,
        turn: int,
        share: float = 1.0,
    ) -> None:
        """Train one stage, or load it if it is done; keep a share of what that changes in the weights."""
        if self.workspace.is_done(name):
            self.workspace.load(name, network)
            return
        wanted = self.settings.schedule.get(name)
        base = name.rpartition("-")[0] if turn > 1 else name
        plan = StagePlan(wanted, 0.0 if wanted else self._seconds(base, turn), self._now)
        began = self._clock.spent_s
        # A resumed stage's weights come from its checkpoint, in `fit`; these are what it began with.
        before = [parameter.detach().clone() for parameter in network.parameters()]
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
        if share < 1:
            with torch.no_grad():
                for parameter, old in zip(network.parameters(), before, strict=True):
                    parameter.lerp_(old.to(parameter.device), 1 - share)
        self._progress.finish()
        # A resumed stage's time includes what it took before it was stopped.
        self._clock.set_spent(began + plan.spent_s)
        self.workspace.finish(
            name, network, plan.steps(), self._clock.spent_s, seconds=round(plan.spent_s, 1), losses=curve
        )

    def _title(self, stage: int, what: str, turn: int) -> str:
        rounds = f" (round {turn} of {self.settings.iterations})" if self.settings.iterations > 1 else ""
        return f"stage {stage} of 3: {what}{rounds}"
