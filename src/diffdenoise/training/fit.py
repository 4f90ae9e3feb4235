"""The one training loop, by Lightning, that all three stages share."""

from __future__ import annotations

import logging
import math
import signal
import threading
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader

from diffdenoise.errors import DivergedError
from diffdenoise.training.checkpoint_io import SafetensorsIO, has_checkpoint
from diffdenoise.training.clock import StagePlan
from diffdenoise.training.hardware import Hardware
from diffdenoise.types import Progress

#: Decay of the exponential moving average of the weights; lower at first, so that it forgets the
#: initial weights (the warm-up of Karras et al. 2022, appendix F.2, in another form).
_EMA_DECAY = 0.995
#: Gradients are clipped to this norm; without normalisation layers, a rare patch can be wild.
_CLIP_NORM = 1.0
#: Name of the checkpoint inside a stage's folder.
_CHECKPOINT = "last"

#: loss_of(step) -> loss; everything random in it is drawn from generators keyed by the step.
LossOf = Callable[[int], Tensor]


class _Stage(LightningModule):
    """A network and its loss, as Lightning wants them."""

    def __init__(self, network: nn.Module, loss_of: LossOf, rate: float, plan: StagePlan) -> None:
        super().__init__()
        self.network = network
        # Shared, so that the averaged copy of this module does not copy the data behind the loss.
        self._shared = _Shared(loss_of, plan)
        self._rate = rate

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self._shared.loss_of(self.global_step)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Lightning's own clipping refuses fused optimisers.
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP_NORM)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self._rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._shared.plan.learning_rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Shared:
    """Loss and plan, the same object in every copy of a module."""

    def __init__(self, loss_of: LossOf, plan: StagePlan) -> None:
        self.loss_of = loss_of
        self.plan = plan

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


class _Steps(torch.utils.data.IterableDataset[int]):
    """An endless source: a step draws its own data."""

    def __iter__(self) -> Any:
        while True:
            yield 0


class _Watch(Callback):
    """Ends the stage by its plan, tells the progress, and keeps the plan beside the checkpoints."""

    def __init__(self, plan: StagePlan, progress: Progress) -> None:
        self._plan = plan
        self._progress = progress
        self.smoothed: float | None = None
        self.curve: list[tuple[int, float]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        loss = float(outputs["loss"])
        if not math.isfinite(loss):
            raise DivergedError(
                f"training diverged at step {step} (loss {loss}); try a lower learning_rate or another --seed"
            )
        self.smoothed = loss if self.smoothed is None else 0.98 * self.smoothed + 0.02 * loss
        if step % 20 == 0:
            self.curve.append((step, round(self.smoothed, 6)))
        self._progress.advance(step, self._plan.total(), self.smoothed, self._plan.seconds_left())
        if not self._plan.after_step(step):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"plan": self._plan.state(), "smoothed": self.smoothed, "curve": self.curve}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._plan.restore(state_dict["plan"])
        self.smoothed = state_dict["smoothed"]
        self.curve = [(int(step), float(loss)) for step, loss in state_dict["curve"]]


def _quieten() -> None:
    """Keep the loop's own chatter (devices found, workers advised) out of the user's terminal."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    warnings.filterwarnings("ignore", module="torch.optim.lr_scheduler")


def _averaged(average: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
    decay = min(_EMA_DECAY, (int(updates) + 1) / (int(updates) + 10))
    return torch.lerp(current, average, decay)


def _was_complete(checkpoint: Path, network: nn.Module, watch: _Watch, plan: StagePlan) -> bool:
    """Load the averaged weights of a run that was stopped right after its last step; else do nothing."""
    stored = SafetensorsIO().load_checkpoint(checkpoint)
    watch.load_state_dict(stored["callbacks"][watch.state_key])
    if plan.after_step(int(stored["global_step"])):
        return False
    prefix = "network."
    network.load_state_dict(
        {name.removeprefix(prefix): value for name, value in stored["state_dict"].items()}
    )
    return True


def fit(
    network: nn.Module,
    loss_of: LossOf,
    plan: StagePlan,
    *,
    learning_rate: float,
    hardware: Hardware,
    folder: Path,
    progress: Progress,
    checkpoint_s: float = 20.0,
) -> list[tuple[int, float]]:
    """Train `network` until its plan ends; leaves the averaged weights in it.

    Parameters
    ----------
    network : Module
        Trained in place, on the device of `hardware`.
    loss_of : callable
        Loss of a step, given its number from 0.
    plan : StagePlan
        Decides when to stop.
    learning_rate : float
        Peak learning rate of AdamW.
    hardware : Hardware
        Device and precision.
    folder : Path
        Checkpoints are kept here; an existing one is continued.
    progress : Progress
        Told about each step.
    checkpoint_s : float
        Seconds between checkpoints.

    Returns
    -------
    list of (step, smoothed loss)

    Raises
    ------
    KeyboardInterrupt
        If the user stopped the run; the last checkpoint stays.
    DivergedError
        If the loss is not a number.
    """
    _quieten()
    checkpoint = folder / f"{_CHECKPOINT}.ckpt"
    watch = _Watch(plan, progress)
    if has_checkpoint(checkpoint) and _was_complete(checkpoint, network, watch, plan):
        return watch.curve
    trainer = Trainer(
        accelerator="gpu" if hardware.device.type == "cuda" else "cpu",
        devices=1,
        precision=hardware.precision,
        max_steps=-1,
        max_epochs=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        plugins=[SafetensorsIO()],
        callbacks=[
            WeightAveraging(use_buffers=False, avg_fn=_averaged),
            watch,
            ModelCheckpoint(
                dirpath=folder,
                filename=_CHECKPOINT,
                train_time_interval=timedelta(seconds=checkpoint_s),
                enable_version_counter=False,
            ),
        ],
    )
    module = _Stage(network, loss_of, learning_rate, plan)
    loader = DataLoader(_Steps(), batch_size=None)
    # Lightning switches Ctrl-C off when it is interrupted, and leaves it off.
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        trainer.fit(module, loader, ckpt_path=checkpoint if has_checkpoint(checkpoint) else None)
    except SystemExit as stop:
        # Lightning turns Ctrl-C into sys.exit; callers here expect the interrupt itself.
        if trainer.interrupted:
            raise KeyboardInterrupt from stop
        raise
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
    network.to(hardware.device)
    return watch.curve
