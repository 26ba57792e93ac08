"""How fast training is, and how long so many more steps will take."""

from time import perf_counter


class Speed:
    """How fast training is: characters a second over the last steps, and seconds a step over all of them.

    The first is restarted after what is no training, which the second includes.
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
        """Return how long it has been from the first step to the last one."""
        return 0.0 if self.began is None else self.now - self.began

    def seconds_for(self, steps: int) -> float | None:
        """Return how long so many more steps will take from now on."""
        if not self.steps:
            return None
        return max(0.0, steps * self.passed / self.steps - (perf_counter() - self.now))

    def add(self, characters: int) -> None:
        self.now = now = perf_counter()
        if self.began is None:
            # It was compiled for: what it took tells nothing of the others.
            self.began = now
        else:
            self.steps += 1
        if self.since is None:
            self.since = (now, characters)
        elif now - self.since[0] > 1.0:
            self.rate = (characters - self.since[1]) / (now - self.since[0])
            if now - self.since[0] > 10.0:
                self.since = (now, characters)
