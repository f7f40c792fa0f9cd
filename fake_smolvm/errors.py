"""The failures that a command of the fake may end in."""

import os


class SetupError(Exception):
    """What the fake itself was told to use, a variable or a file, is wrong: exit code 2.

    Printed as `fake_smolvm: <message>`; the message names the variable, and what would be right.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class LimitError(Exception):
    """The fake cannot do what real smolvm might: exit code 1, printed as `fake_smolvm: <message>`.

    What the fake lacks never speaks with the voice of the real one.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class OutputError(Exception):
    """A stream of the caller's could not be written; real smolvm panics then (exit code 101)."""


class CommandError(Exception):
    """A command failed after its line was read: `Error: <message>` on stderr, exit code 1."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def os_error_text(error: OSError) -> str:
    """Return an error of the system as Rust prints it: `No such file or directory (os error 2)`."""
    return f"{os.strerror(error.errno or 0)} (os error {error.errno})"
