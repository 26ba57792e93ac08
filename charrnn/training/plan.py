"""The plan of a run: its number of steps and its learning-rate schedule, and changes to both during training."""

from dataclasses import replace

from charrnn.config import TrainConfig
from charrnn.runs.progress import Progress
from charrnn.training.budget import counted_total
from charrnn.training.schedules import learning_rate, warmup_steps


def rate_at(config: TrainConfig, progress: Progress, step: int, steps_per_epoch: int) -> float:
    """Return the plan's learning rate for a step, before the factor of the guard against divergence."""
    first, rate = progress.schedule_step or 0, progress.schedule_rate
    return learning_rate(config, step, progress.total, steps_per_epoch, first, rate)


def warms_up(config: TrainConfig, progress: Progress) -> bool:
    """Return whether the plan's learning rate is still in its warm-up."""
    if config.schedule != "cosine" or progress.schedule_rate is not None:
        return False
    first = progress.schedule_step or 0
    return progress.step - first < warmup_steps(config, first, progress.total)


def with_total(progress: Progress, config: TrainConfig, total: int | None, steps_per_epoch: int) -> Progress:
    """Return the progress with another number of steps; the learning rate goes on from its present value.

    A cosine begins a new part there, unless it still warms up. The other schedules do not depend on the end.
    """
    if config.schedule != "cosine" or warms_up(config, progress):
        return replace(progress, total=total)
    rate = rate_at(config, progress, progress.step, steps_per_epoch)
    return replace(progress, total=total, schedule_step=progress.step, schedule_rate=rate)


def with_new_schedule(progress: Progress, total: int | None) -> Progress:
    """Return the progress with another number of steps, and a schedule that begins at the next step with a warm-up."""
    return replace(progress, total=total, schedule_step=progress.step, schedule_rate=None)


def prolonged(config: TrainConfig, step: int, steps_per_epoch: int) -> TrainConfig:
    """Return settings whose `steps` and `epochs` count from the beginning of the run instead of from `step`."""
    return replace(
        config,
        steps=None if config.steps is None else step + config.steps,
        epochs=None if config.epochs is None else step / steps_per_epoch + config.epochs,
    )


def planned_total(config: TrainConfig, steps_per_epoch: int) -> int | None:
    """Return the number of steps that the settings allow; None with `minutes`, until the speed has been measured."""
    return counted_total(config, steps_per_epoch) if config.minutes is None else None
