"""What is answered instead of carrying out an operation."""


class Refused(Exception):
    """The operation was not carried out.

    Attributes:
        status: Of the HTTP answer.
        message: What is wrong, and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
