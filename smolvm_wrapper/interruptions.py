"""What signal handlers raise, kept back while something must not be interrupted.

Ctrl-C raises KeyboardInterrupt wherever the main thread happens to be: between any two lines of
ours, too. So while a thread of ours does what must be finished, the handlers run as ever, but what
they raise is kept, and raised when that is over.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from smolvm_wrapper.processes import Leash

_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGALRM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class Held:
    """A context in which no signal handler's exception gets through; many may overlap.

    Handlers run in the main thread only, so elsewhere it does nothing.

    Attributes:
        raised: what the first handler raised, once no context is left.
    """

    _contexts = 0
    _handlers: dict[int, Callable[..., Any]] = {}  # noqa: RUF012 - the process has one set
    _raised: list[BaseException] = []  # noqa: RUF012 - likewise
    _leashes: list[Leash] = []  # noqa: RUF012 - likewise

    def __init__(self) -> None:
        self.raised: BaseException | None = None
        self._leash: Leash | None = None
        self._holds = False

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        try:
            Held._contexts += 1
            self._holds = True
            if Held._contexts == 1:
                _take_over()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self._holds:
            return
        self._holds = False
        if self._leash is not None:
            Held._leashes.remove(self._leash)
        Held._contexts -= 1
        if Held._contexts == 0:
            _give_back()
            if Held._raised:
                self.raised = Held._raised[0]
                Held._raised.clear()

    def pulls(self, leash: Leash) -> None:
        """Have whatever is raised pull this leash."""
        if self._holds:
            self._leash = leash
            Held._leashes.append(leash)
            if Held._raised:
                leash.pull()


def _take_over() -> None:
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if callable(handler) and handler is not _handle:
            Held._handlers[number] = handler  # noqa: SLF001 - one trade
            with suppress(ValueError):  # a subinterpreter has no signals
                signal.signal(number, _handle)


def _give_back() -> None:
    for number, handler in Held._handlers.items():  # noqa: SLF001
        if signal.getsignal(number) is _handle:
            signal.signal(number, handler)
    Held._handlers.clear()  # noqa: SLF001


def _handle(number: int, frame: Any) -> None:
    try:
        Held._handlers[number](number, frame)  # noqa: SLF001
    except BaseException as error:  # noqa: BLE001 - whatever it is
        Held._raised.append(error)  # noqa: SLF001
        for leash in Held._leashes:  # noqa: SLF001
            leash.pull()


def _forget() -> None:
    """Hold nothing in the child of a fork: what had to be finished is not done there."""
    Held._contexts = 0  # noqa: SLF001
    Held._raised.clear()  # noqa: SLF001
    Held._leashes.clear()  # noqa: SLF001
    _give_back()


os.register_at_fork(after_in_child=_forget)
