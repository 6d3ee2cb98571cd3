"""What the steps of handlers did: which ran, which were acknowledged, and what contradicts the rules."""

from perdure.base.ids import InvocationId


class StepLog:
    """Which steps ran and which were acknowledged, over all attempts of all invocations, and what contradicts the rules."""

    def __init__(self) -> None:
        self.executions: dict[tuple[InvocationId, int], int] = {}
        """invocation, completion id -> how often the step's closure ran"""
        self.violations: list[str] = []
        self._acknowledged_at: dict[tuple[InvocationId, int], int] = {}
        self._clock = 0

    def tick(self) -> int:
        """Return the next instant of the log's own logical time."""
        self._clock += 1
        return self._clock

    def forget(self, invocation: InvocationId) -> None:
        """Note that an invocation was removed after its end: the same id may run anew."""
        for step in [step for step in self._acknowledged_at if step[0] == invocation]:
            del self._acknowledged_at[step]

    def execute(self, invocation: InvocationId, completion_id: int, attempt_started: int) -> None:
        """Note that a step runs, in an attempt that began at `attempt_started`."""
        step = (invocation, completion_id)
        self.executions[step] = self.executions.get(step, 0) + 1
        acknowledged = self._acknowledged_at.get(step)
        if acknowledged is not None and acknowledged < attempt_started:
            self.violations.append(f"step {completion_id} of {invocation.hex()} ran again after its result was acknowledged")

    def acknowledge(self, invocation: InvocationId, completion_id: int) -> None:
        """Note that the server answered with the step's result."""
        self._acknowledged_at.setdefault((invocation, completion_id), self.tick())
