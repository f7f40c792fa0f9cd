"""The failures that a command of the fake may end in."""


class CommandError(Exception):
    """A command failed after its line was read: `Error: <message>` on stderr, exit code 1."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
