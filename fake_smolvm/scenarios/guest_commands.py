"""Commands of the guest that a test provides, as data or by way of a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_smolvm import variables
from fake_smolvm.errors import SetupError
from fake_smolvm.machines import given
from fake_smolvm.scenarios import ScenarioError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeAlias

    Answer: TypeAlias = tuple[int, bytes, bytes]
    """Exit code, stdout, stderr."""
    GuestCommand: TypeAlias = Callable[[list[str], Mapping[str, str], str, bytes], Answer | None]
    """Called with argv, environment, working directory and stdin."""

_GUEST = {
    "socket": given.TEXT,
    "command": given.TEXTS,
    "prefix": given.TEXTS,
    "exit": given.EXIT_CODE,
    "stdout": given.TEXT,
    "stderr": given.TEXT,
}


def guest_command(data: Mapping[str, Any]) -> GuestCommand:
    """Make a guest command of a `[[guest]]`.

    Raises:
        ValueError: It makes no sense.
    """
    given.check(data, _GUEST, "a guest command")
    if "socket" not in data:
        return provided(**data)
    if len(data) > 1:
        raise ValueError("a guest command with a socket has nothing else: it answers")
    return asked_at(data["socket"])


def provided(
    *,
    command: Sequence[str] | None = None,
    prefix: Sequence[str] | None = None,
    exit: int = 0,  # noqa: A002  the word of the file
    stdout: str | bytes = b"",
    stderr: str | bytes = b"",
) -> GuestCommand:
    """Make a guest command that always says the same, for one argv or for all with that prefix."""
    if (command is None) == (prefix is None):
        raise ScenarioError("a guest command has either a command or a prefix")
    if not (command or prefix):
        raise ScenarioError("a guest command has at least one word")
    try:
        given.check({"exit": exit}, _GUEST, "a guest command")
    except ValueError as error:
        raise ScenarioError(str(error)) from None
    wanted = list(command if command is not None else prefix or ())
    answer = (exit, _bytes(stdout), _bytes(stderr))

    def answer_to(
        argv: list[str], env: Mapping[str, str], workdir: str, stdin: bytes
    ) -> Answer | None:
        del env, workdir, stdin
        heard = argv if command is not None else argv[: len(wanted)]
        return answer if heard == wanted else None

    return answer_to


def asked_at(socket: str) -> GuestCommand:
    """Make a guest command that is answered by whoever listens at a Unix socket.

    Question and answer are the `repr` of the arguments and of the result of a `GuestCommand`.
    """

    def answer_to(
        argv: list[str], env: Mapping[str, str], workdir: str, stdin: bytes
    ) -> Answer | None:
        from ast import literal_eval
        from socket import AF_UNIX, SHUT_WR
        from socket import socket as make_socket

        try:
            with make_socket(AF_UNIX) as connection:
                connection.connect(socket)
                connection.sendall(repr((argv, dict(env), workdir, stdin)).encode())
                connection.shutdown(SHUT_WR)
                with connection.makefile("rb") as reading:
                    answer: Answer | None = literal_eval(reading.read().decode())
        except (OSError, ValueError, SyntaxError) as error:
            raise SetupError(
                f"{variables.SCENARIO}: the guest command {argv[0]} got no answer from {socket}: "
                f"{error}"
            ) from None
        return answer

    return answer_to


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
