"""Guest commands that a test provides as a function, asked for from any thread and process."""

from __future__ import annotations

import functools
import inspect
import threading
import traceback
from ast import literal_eval
from socket import AF_UNIX, SHUT_RDWR, socket
from typing import TYPE_CHECKING, Any

from fake_smolvm.host import KilledError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_smolvm.scenarios.guest_commands import Answer, GuestCommand
    from fake_smolvm.scenarios.scenario import Scenario

RAISED = 1
"""Exit code of a guest command whose function raised."""
_LARGEST_EXIT_CODE = 255
_PARTS = 3


def guarded(call: GuestCommand, errors: list[str]) -> GuestCommand:
    """Return a guest command that answers in any case, and adds what went wrong to `errors`."""

    @functools.wraps(call)
    def answer_to(
        argv: list[str], env: Mapping[str, str], workdir: str, stdin: bytes
    ) -> Answer | None:
        try:
            return _checked(call(argv, env, workdir, stdin))
        except KilledError:
            raise
        except _OddAnswerError as error:
            said = f"the test's guest command {_name_of(call)} {error}"
            errors.append(said)
        except BaseException as error:  # noqa: BLE001  pytest.fail and Ctrl-C are none but that
            said = f"the test's guest command {_name_of(call)} raised {_shortly(error)}"
            errors.append(f"{said}\n{_traceback(error)}")
        return RAISED, b"", f"fake_smolvm: {said}\n".encode(errors="replace")

    return answer_to


class _OddAnswerError(Exception):
    """What a guest command gave is no answer."""


def _checked(answer: Any) -> Answer | None:
    """Return an answer, its texts as bytes.

    Raises:
        _OddAnswerError: It is none.
    """
    if answer is None:
        return None
    if inspect.iscoroutine(answer):
        answer.close()
        raise _OddAnswerError("is a coroutine, which nobody awaits here: make it a plain function")
    wanted = "must return (exit code, stdout, stderr), or None for an argv that it does not know"
    if not isinstance(answer, tuple | list) or len(answer) != _PARTS:
        raise _OddAnswerError(f"{wanted}, not {_cut(answer)}")
    code, *texts = answer
    if not isinstance(code, int) or not 0 <= code <= _LARGEST_EXIT_CODE:
        raise _OddAnswerError(f"{wanted}: an exit code is a number from 0 to 255, not {_cut(code)}")
    for text in texts:
        if not isinstance(text, bytes | bytearray | str):
            raise _OddAnswerError(f"{wanted}: what it says is bytes or a str, not {_cut(text)}")
    stdout, stderr = (
        text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)
        for text in texts
    )
    return int(code), stdout, stderr


class Answering:
    """Answers the guests of other processes, each in a thread of its own."""

    def __init__(self, path: str) -> None:
        """Listen at `path`."""
        self.path = path
        self.scenario: Scenario | None = None
        """What is asked."""
        self._socket = socket(AF_UNIX)
        self._socket.bind(path)
        self._socket.listen()
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        try:
            self._socket.shutdown(SHUT_RDWR)  # wakes the thread that listens
        except OSError:
            pass  # not needed everywhere, and refused there
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket) -> None:
        try:
            with connection, connection.makefile("rb") as reading:
                question = literal_eval(reading.read().decode())
                scenario = self.scenario
                answer = None if scenario is None else scenario.guest_command(*question)
                connection.sendall(repr(answer).encode())
        except (OSError, SyntaxError, ValueError):
            pass  # who asked is gone, perhaps in the middle of the question


def _name_of(call: Any) -> str:
    return str(getattr(call, "__qualname__", None) or type(call).__qualname__)


def _shortly(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _traceback(error: BaseException) -> str:
    """Return the traceback from the test's own function on."""
    where = None if error.__traceback__ is None else error.__traceback__.tb_next
    return "".join(traceback.format_exception(type(error), error, where)).rstrip()


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004
