"""How fast training is, and how long a number of further steps will take."""

from time import perf_counter


class Speed:
    """Measures training: characters per second over the last steps, and seconds per step over all steps.

    The first measurement restarts after an evaluation or another interruption; the second includes these times.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        self.began: float | None = None
        self.now, self.steps = 0.0, 0
        self.restart()

    def restart(self) -> None:
        self.since: tuple[float, int] | None = None

    @property
    def passed(self) -> float:
        """Return the seconds from the first step to the last one."""
        return 0.0 if self.began is None else self.now - self.began

    def seconds_for(self, steps: int) -> float | None:
        """Return how many seconds this many further steps will take from now on, None if not known yet."""
        if not self.steps:
            return None
        return max(0.0, steps * self.passed / self.steps - (perf_counter() - self.now))

    def add(self, characters: int) -> None:
        self.now = now = perf_counter()
        if self.began is None:
            # The first step includes compilation, so its time says nothing about the others.
            self.began = now
        else:
            self.steps += 1
        if self.since is None:
            self.since = (now, characters)
        elif now - self.since[0] > 1.0:
            self.rate = (characters - self.since[1]) / (now - self.since[0])
            if now - self.since[0] > 10.0:
                self.since = (now, characters)
