"""What steps and evaluations take of the time of a run of `minutes`, and how many steps fit what is left of it."""

from collections.abc import Callable

from charrnn.training.budget import measured_total

# How much of the time goes into each measurement of the speed, the first while the learning rate still warms up: a
# share, and seconds.
MEASURE, MEASURE_AT_MOST = 0.05, 30.0
# So many steps are enough for a measurement however short they take, as a share of those that were planned.
ENOUGH = 0.2
# The number of steps is fixed anew when it is so much too low or too high, as shares of the steps that were planned:
# time that is left over costs less than time that is lacking. In the last few steps it stays, or it would dither.
TOO_LOW, TOO_HIGH, LAST = 0.03, 0.02, 0.03
# It is looked at again after this share of the steps that are left, so that a slower machine is noticed in time.
LOOK = 8


class Pace:
    """The time of a run, by its clock: `deadline` is when the last evaluation is to be over.

    All time between two calls of `stepped`, `evaluated` and `skip` is booked on what the later one names.
    """

    def __init__(self, clock: Callable[[], float], seconds: float, reserve: float, first: int):
        """`seconds` is when the run is to end, `reserve` what it needs after training; `first` its step at present."""
        self.clock, self.deadline, self.first = clock, seconds - reserve, first
        self.measure = min(MEASURE * seconds, MEASURE_AT_MOST)
        self.evaluations, self.evaluating, self.at, self.per_step = 0, 0.0, 0.0, 0.0
        self.restart()

    def restart(self) -> None:
        """Measure the steps from here on alone."""
        self.steps, self.stepping = 0, 0.0
        self.skip()

    def skip(self) -> float:
        """Book the time since the last call on nothing, and return it."""
        before, self.at = self.at, self.clock()
        return self.at - before

    def stepped(self) -> None:
        """A step was taken."""
        self.steps += 1
        self.stepping += self.skip()
        self.per_step = self.stepping / self.steps

    def evaluated(self) -> None:
        """An evaluation was made, saved and shown."""
        self.evaluations += 1
        self.evaluating += self.skip()

    @property
    def is_measured(self) -> bool:
        """Return whether the steps since `restart` took long enough to say how long steps take."""
        return self.stepping >= self.measure

    @property
    def per_evaluation(self) -> float:
        return self.evaluating / self.evaluations if self.evaluations else 0.0

    @property
    def is_late(self) -> bool:
        """Return whether there is time for the last evaluation, but for no other step before it."""
        return self.clock() + self.per_step > self.deadline - self.per_evaluation

    def fitting(self, done: int, distance: int) -> int:
        """Return how many steps fit the time, those `done` included; evaluations are `distance` steps apart."""
        return measured_total(done, self.deadline - self.clock(), self.per_step, self.per_evaluation, distance)

    def revised(self, done: int, total: int, distance: int, most: float) -> int:
        """Return how many steps there should be, at `most`; `total` itself unless it is clearly too low or too high."""
        planned = total - self.first
        # Steps that are far quicker than at first are soon over: then their number says enough.
        is_measured = self.is_measured or self.steps >= ENOUGH * planned
        if not is_measured or total - done <= LAST * planned:
            return total
        fits = int(min(self.fitting(done, distance), most))
        fitting_well = -TOO_HIGH * planned <= fits - total <= TOO_LOW * planned
        return total if fitting_well else fits

    @staticmethod
    def next_look(done: int, total: int) -> int:
        """Return the step at which to look again whether `total` steps fit."""
        return done + max(1, (total - done) // LOOK)
