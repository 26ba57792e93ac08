"""The time of a run of `minutes`: what steps and evaluations cost, and how many steps fit into the rest."""

from collections.abc import Callable

from charrnn.training.budget import measured_total

# The time of each measurement of the speed, as a fraction of the whole time, and at most in seconds. The first one is
# made while the learning rate still warms up.
MEASURE, MEASURE_AT_MOST = 0.05, 30.0
# This fraction of the planned steps is enough for a measurement, however little time they take.
ENOUGH = 0.2
# The number of steps changes when it is too low or too high by these fractions of the planned steps: too much time
# costs less than too little. It does not change during the last steps, where it would only go up and down.
TOO_LOW, TOO_HIGH, LAST = 0.03, 0.02, 0.03
# It is checked again after an eighth of the steps that are left, so that a slower machine is noticed in time.
LOOK = 8


class Pace:
    """The time of a run, by its clock: the last evaluation must be over at `deadline`.

    All time between two calls of `stepped`, `evaluated` and `skip` counts for what the later call names.
    """

    def __init__(self, clock: Callable[[], float], seconds: float, reserve: float, first: int):
        """`seconds` is the end of the run, `reserve` the time for its work after training, `first` its present step."""
        self.clock, self.deadline, self.first = clock, seconds - reserve, first
        self.measure = min(MEASURE * seconds, MEASURE_AT_MOST)
        self.evaluations, self.evaluating, self.at, self.per_step = 0, 0.0, 0.0, 0.0
        self.restart()

    def restart(self) -> None:
        """Start a new measurement of the steps."""
        self.steps, self.stepping = 0, 0.0
        self.skip()

    def skip(self) -> float:
        """Return the time since the last call; it counts for neither steps nor evaluations."""
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
        """Return whether the steps since `restart` took long enough to measure the speed."""
        return self.stepping >= self.measure

    @property
    def per_evaluation(self) -> float:
        return self.evaluating / self.evaluations if self.evaluations else 0.0

    @property
    def is_late(self) -> bool:
        """Return whether there is time for the last evaluation, but not for another step before it."""
        return self.clock() + self.per_step > self.deadline - self.per_evaluation

    def fitting(self, done: int, distance: int) -> int:
        """Return how many steps fit the time, including those `done`; evaluations are `distance` steps apart."""
        return measured_total(done, self.deadline - self.clock(), self.per_step, self.per_evaluation, distance)

    def revised(self, done: int, total: int, distance: int, most: float) -> int:
        """Return the right number of steps, at most `most`; `total` unless it is clearly too low or too high."""
        planned = total - self.first
        # Steps that are much faster than at first take little time: then their number is enough.
        is_measured = self.is_measured or self.steps >= ENOUGH * planned
        if not is_measured or total - done <= LAST * planned:
            return total
        fits = int(min(self.fitting(done, distance), most))
        fitting_well = -TOO_HIGH * planned <= fits - total <= TOO_LOW * planned
        return total if fitting_well else fits

    @staticmethod
    def next_look(done: int, total: int) -> int:
        """Return the step at which to check again whether `total` steps fit."""
        return done + max(1, (total - done) // LOOK)
