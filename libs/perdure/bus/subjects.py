"""Subjects on the bus. All begin with one root, so that several suites can share a NATS cluster."""

import msgspec


class Subjects(msgspec.Struct, frozen=True):
    """The names of all subjects under `root`."""

    root: str = "perdure"

    def owner(self, invoker_id: str) -> str:
        """Where an invoker takes `OwnerRequests`; nobody listening means that the process is gone."""
        return f"{self.root}.owner.{invoker_id}"

    def replies(self, role: str, process_id: str) -> str:
        """Where an asking process takes `OwnerReplies`; the role lets a server keep others from listening."""
        return f"{self.root}.replies.{role}.{process_id}"

    def drain(self, process_id: str) -> str:
        """Where a process takes `Drain`; it answers to the reply subject."""
        return f"{self.root}.drain.{process_id}"

    def inbox(self, role: str) -> str:
        """Under which processes of a role take the replies to what they asked."""
        return f"{self.root}.inbox.{role}"

    @property
    def announcements(self) -> str:
        """`Announcement`, broadcast on each change of ownership and every few seconds."""
        return f"{self.root}.announcements"

    @property
    def doorbell(self) -> str:
        """`Doorbell`, broadcast."""
        return f"{self.root}.doorbell"

    @property
    def schema(self) -> str:
        """`SchemaChanged`, broadcast."""
        return f"{self.root}.schema"

    @property
    def heartbeats(self) -> str:
        """`Heartbeat`, broadcast every second."""
        return f"{self.root}.heartbeats"

    @property
    def metrics(self) -> str:
        """Requests for a `MetricsSnapshot`; every process answers to the reply subject."""
        return f"{self.root}.metrics"

    @property
    def live(self) -> str:
        """Requests for `LiveInvocations`; every invoker answers to the reply subject."""
        return f"{self.root}.live"

    @property
    def log_level(self) -> str:
        """`SetLogLevel`, broadcast; every process that it means answers to the reply subject."""
        return f"{self.root}.log_level"
