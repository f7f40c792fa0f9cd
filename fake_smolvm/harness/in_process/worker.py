"""The threads that stand for processes, and how one is killed from outside."""

from __future__ import annotations

import _thread
import os
from typing import TYPE_CHECKING, ClassVar

from fake_smolvm.host import KilledError

if TYPE_CHECKING:
    from collections.abc import Callable


class Worker:
    """A thread that does one thing after the other: a new one for each child would take longer."""

    _idle: ClassVar[list[Worker]] = []

    def __init__(self) -> None:
        self._work: Callable[[], object] = int
        self._has_work = _thread.allocate_lock()
        self._has_work.acquire()
        self._number = _thread.start_new_thread(self._live, ())

    @classmethod
    def do(cls, work: Callable[[], object]) -> int:
        """Have a thread do `work`; return that thread's number."""
        try:
            worker = cls._idle.pop()
        except IndexError:
            worker = cls()
        worker._work = work
        worker._has_work.release()
        return worker._number

    def _live(self) -> None:
        while True:
            self._has_work.acquire()
            self._work()
            self._work = int
            self._idle.append(self)


# A fork takes no threads along.
os.register_at_fork(after_in_child=Worker._idle.clear)  # noqa: SLF001


class KilledByCallerError(KilledError):
    """As it is raised in a child's thread from outside, wherever that thread happens to be."""


def raise_in_thread(thread: int, wake: Callable[[], object]) -> None:
    """Raise KilledByCallerError in a thread, at its next step of Python, to which `wake` brings it.

    From the one to the other no function of Python is called here: in CPython 3.11, while it is
    traced (by a debugger, or coverage), that would wait for ever for the exception to be taken.
    """
    import ctypes  # only now: it takes longer than most tests

    number, error = ctypes.c_ulong(thread), ctypes.py_object(KilledByCallerError)
    is_raised = _thread.allocate_lock()
    is_raised.acquire()
    Worker.do(lambda: (is_raised.acquire(), wake()))
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, error)
    is_raised.release()
