"""What this process starts as `smolvm`, and hands over to it: noted where that is done.

Whether a command came to noting that it began, or to reading its stdin, before it was killed or
ended is a matter of milliseconds, so a test cannot go by that. What comes from elsewhere (a shell,
its pipe) only the command itself can tell.
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fake_smolvm.harness.on_path.journal import Portions
from fake_smolvm.harness.on_path.private_names import check_popen
from fake_smolvm.harness.on_path.starts import understood

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from fake_smolvm.harness.on_path.journal import Journal
    from fake_smolvm.harness.on_path.starts import File


def install(
    journal: Journal, executable: Callable[[], File | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Take notes of what starts `executable` by Popen, until `monkeypatch` undoes it."""
    popen: Any = real_popen()
    start, save_input = popen._execute_child, popen._save_input  # noqa: SLF001

    @functools.wraps(start)
    def noted_start(process: Any, args: Any, program: Any, *rest: Any) -> None:
        _, _, _, cwd, env, _, _, shell, *_ = rest
        args = list(args) if isinstance(args, Iterator) else args  # several look at it
        wanted = None if shell else executable()
        asked = None if wanted is None else understood(args, program, cwd, env, wanted)
        now = time.monotonic_ns()
        start(process, args, program, *rest)
        if asked is not None:
            with contextlib.suppress(OSError):  # it will say so itself
                journal.spawned(now, process.pid, asked.argv, asked.cwd, asked.env.data)
            watch(process, journal)

    # `communicate` writes to the pipe directly, once it has kept the input as bytes here.
    @functools.wraps(save_input)
    def noted_input(process: Any, given: Any) -> None:
        is_first = process._input is None  # noqa: SLF001
        save_input(process, given)
        if is_first and process.stdin is not None and given and hasattr(process, "_tell"):
            process._tell(bytes(process._input))  # noqa: SLF001

    monkeypatch.setattr(popen, "_execute_child", noted_start)
    monkeypatch.setattr(popen, "_save_input", noted_input)
    _install_in_asyncio(monkeypatch)


def watch(process: Any, journal: Journal) -> None:
    """Note what this process writes to stdin of one that it has started."""
    process._tell = _teller(journal, process)  # noqa: SLF001
    if process.stdin is not None:
        _watch(process.stdin, process._tell)  # noqa: SLF001


def real_popen() -> type[subprocess.Popen[Any]]:
    """Return the Popen of the standard library, also while pytest-subprocess is in its place."""
    dispatcher = sys.modules.get("pytest_subprocess.process_dispatcher")
    replaced = None if dispatcher is None else dispatcher.ProcessDispatcher.built_in_popen
    # In a run of pytest inside a test, that is a function of the test's own fixture.
    return replaced if isinstance(replaced, type) else subprocess.Popen


def _install_in_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules.get("asyncio.subprocess")
    if module is None:
        return
    start = module.Process.__init__

    @functools.wraps(start)
    def noted_start(process: Any, transport: Any, *args: Any, **kwargs: Any) -> None:
        start(process, transport, *args, **kwargs)
        child = transport.get_extra_info("subprocess")
        if process.stdin is not None and hasattr(child, "_tell"):
            _watch(process.stdin, child._tell)  # noqa: SLF001

    monkeypatch.setattr(module.Process, "__init__", noted_start)


def _watch(stream: Any, tell: Callable[[bytes], object]) -> None:
    """Have a stream tell of what is written to it, before it is: the reader may be gone."""
    write = stream.write

    def noted_write(data: Any) -> Any:
        if isinstance(data, str):
            tell(data.encode(stream.encoding, stream.errors))
        else:
            tell(bytes(data))
        return write(data)

    stream.write = noted_write


def _teller(journal: Journal, process: Any) -> Callable[[bytes], object]:
    portions = Portions()

    def tell(data: bytes) -> None:
        # In process a child's number is not its process ID, which it may not even have.
        number = getattr(process, "number", None) or process.pid
        with contextlib.suppress(OSError):
            journal.give(number, *portions.next(data))

    return tell


check_popen(real_popen())
