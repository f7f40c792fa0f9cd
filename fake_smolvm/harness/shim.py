"""The `smolvm` that a test finds on PATH when it runs on the fake: notes the call, runs the fake.

Starts once for each call of the code under test, so it imports as little as the fake itself does.
"""

from __future__ import annotations

import os
import sys

from fake_smolvm import entry
from fake_smolvm.harness import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO


def main(folder: str, outside_home: str) -> int:
    """Run the fake on this process's argv for the sandbox in `folder`; give the exit code."""
    env = os.environ
    if env.get("HOME", "") in ("", outside_home):
        env["HOME"] = os.path.join(folder, "home")
    env.setdefault("FAKE_SMOLVM_NETWORK", os.path.join(folder, "network.toml"))
    scenario = os.path.join(folder, "scenario.toml")
    if entry.SCENARIO_VARIABLE not in env and os.path.exists(scenario):
        env[entry.SCENARIO_VARIABLE] = scenario
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        cwd = ""
    calls = os.path.join(folder, "calls.journal")
    start = journal.started(os.getpid(), sys.argv, cwd)
    journal.append(calls, start)
    stderr = None
    if sys.stderr is not None:
        sys.stderr = stderr = _Noted(sys.stderr)
    code = 1
    try:
        code = entry.main()
    except Exception:
        from traceback import format_exc

        journal.append(calls, journal.crashed(start[1], sys.argv, format_exc()))
        raise
    finally:
        head = b"" if stderr is None else bytes(stderr.head)
        journal.append(calls, journal.ended(start[1], code, sys.argv, head))
    return code


class _Noted:
    """A text stream whose bytes, once written, are remembered from their head on."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.buffer = _NotedBytes(stream.buffer)

    @property
    def head(self) -> bytearray:
        return self.buffer.head

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _NotedBytes:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.head = bytearray()

    def write(self, data: bytes) -> int:
        if len(self.head) < journal.HEAD_OF_STDERR:
            self.head += data[: journal.HEAD_OF_STDERR]
        return self._stream.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
