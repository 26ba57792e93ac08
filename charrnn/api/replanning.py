"""The plan of a resumed run: its new budget and its learning rate."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from charrnn.config import BUDGET, SCHEDULE, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.runs.progress import Progress
from charrnn.training.plan import planned_total, prolonged, rate_at, warms_up, with_new_schedule, with_total
from charrnn.training.schedules import LOWEST, warmup_steps


def check_unfinished(
    what: str, word: str, trained: TrainConfig, progress: Progress, changed: Mapping[str, Any]
) -> None:
    """Raise CharRNNError if a run has nothing left to do and no new budget is given.

    `what` names the run in a sentence, `word` in a call.
    """
    if progress.total is None or progress.step < progress.total or set(changed) & set(BUDGET):
        return
    if trained.minutes is not None:
        more, budget = f"{trained.minutes:g} minutes more", f"minutes={trained.minutes:g}"
    elif trained.steps is None:
        more, budget = "another pass over the text", "epochs=1"
    else:
        more, budget = f"{progress.step:,} steps more", f"steps={progress.step}"
    given = "".join(f", {name}={value!r}" for name, value in changed.items() if value is not None)
    slow = trained.schedule == "cosine" and not set(changed) & set(SCHEDULE)
    faster = f"The learning rate has fallen to a hundredth; `lr={trained.rate:g}` begins a new schedule. "
    raise CharRNNError(
        f"{what} has taken {progress.step:,} steps and reached the end of its budget.",
        hint=f"{faster if slow else ''}For {more}: `charrnn.resume({word!r}, {budget}{given})`",
    )


def replanned(
    trained: TrainConfig, progress: Progress, changed: Mapping[str, Any], steps_per_epoch: int
) -> tuple[TrainConfig, Progress, str | None]:
    """Return the settings and the progress with which a run continues, and a message about the learning rate.

    `changed` are the new settings. A new budget counts from the current step. A setting of SCHEDULE begins a new
    schedule at the current step; without one, the learning rate continues from where it is.
    """
    has_budget, has_schedule = set(changed) & set(BUDGET), set(changed) & set(SCHEDULE)
    config = replace(trained, **{**(dict.fromkeys(BUDGET) if has_budget else {}), **changed})
    total = progress.total
    if has_budget:
        config = prolonged(config, progress.step, steps_per_epoch)
        total = planned_total(config, steps_per_epoch)
    if has_schedule:
        planned = with_new_schedule(progress, total)
        if "lr" in changed:
            # The factor that lowered a rate that was too high does not apply to a new rate.
            planned = replace(planned, stability=replace(planned.stability, rate_scale=1.0))
    elif has_budget:
        planned = with_total(progress, trained, total, steps_per_epoch)
    else:
        return config, progress, None
    says = _new_schedule(config, planned) if has_schedule else _going_on(config, planned, steps_per_epoch)
    return config, replace(planned, evaluations_since_best=0), says


def _new_schedule(config: TrainConfig, planned: Progress) -> str:
    """Return the message about a schedule that begins."""
    base = planned.stability.rate_scale * config.rate
    if config.schedule == "constant":
        return f"A new schedule begins: the learning rate is {base:.2g} from here on."
    if config.schedule == "exponential":
        return (
            f"A new schedule begins: the learning rate is {base:.2g}, and is multiplied by {config.decay:g} at "
            f"the end of each epoch, for the first time after {config.decay_after} epochs."
        )
    warmup = warmup_steps(config, planned.step, planned.total)
    return (
        f"A new schedule begins: the learning rate rises to {base:.2g} in {warmup:,} steps and falls to "
        f"{LOWEST * base:.2g} {_end(planned)}."
    )


def _going_on(config: TrainConfig, planned: Progress, steps_per_epoch: int) -> str:
    """Return the message about the learning rate of a schedule that gets another end."""
    scale = planned.stability.rate_scale
    rate = scale * rate_at(config, planned, planned.step, steps_per_epoch)
    base = scale * config.rate
    lowest = LOWEST * base
    if config.schedule != "cosine":
        course = f"goes on as it was ({config.schedule}), now at {rate:.2g}"
    elif warms_up(config, planned):
        course = f"goes on rising to {base:.2g}, and then falls to {lowest:.2g} {_end(planned)}"
    elif rate > 1.01 * lowest:
        course = f"goes on from {rate:.2g} and falls to {lowest:.2g} {_end(planned)}"
    else:
        course = f"stays at {rate:.2g}, where its schedule has ended, so the model will learn little more"
    again = f"`lr={config.rate:g}`" if config.schedule == "cosine" else "`lr` or `schedule`"
    return f"The learning rate {course}. To begin a new schedule here, add for example {again}."


def _end(planned: Progress) -> str:
    return "at the end of the time" if planned.total is None else f"at step {planned.total:,}"
