"""The calls of `smolvm` that a test saw, to read, filter and assert on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from fake_smolvm.harness.secrets import masked_argv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fake_smolvm.harness.journal import Event

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Call:
    """One call of `smolvm`."""

    argv: tuple[str, ...]
    """The command line, the program first as `smolvm`; values of `-e` are `***`."""
    command: str
    """The command that it names, such as `machine start`; what was typed if no version has it."""
    machine: str | None
    """The machine that it is about, `default` included; None for commands that are about none."""
    returncode: int | None
    """The exit code; None if the call was killed, or is not over."""
    stderr: str
    """The first 400 characters of stderr; empty on a real smolvm that is not recorded."""
    cwd: str
    started: float
    """Seconds since the test's first call."""
    seconds: float | None
    """How long it took; None if it was killed, or is not over."""

    def __str__(self) -> str:
        from shlex import join

        return join(self.argv)


class Calls(Sequence[Call]):
    """Calls in the order in which they started."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._calls = tuple(calls)

    def __len__(self) -> int:
        return len(self._calls)

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> Calls: ...
    def __getitem__(self, index: int | slice) -> Call | Calls:
        if isinstance(index, slice):
            return Calls(self._calls[index])
        return self._calls[index]

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __repr__(self) -> str:
        from fake_smolvm.harness.timeline import timeline

        return timeline(self) or "<no calls of smolvm>"

    @property
    def argvs(self) -> list[list[str]]:
        """Every call's argv."""
        return [list(call.argv) for call in self]

    def filter(
        self,
        command: str | None = None,
        *,
        machine: str | None = None,
        returncode: int | None = None,
    ) -> Calls:
        """Return the calls of a command (`"machine exec"`, `"machine"`), machine or exit code.

        Raises:
            TypeError: `command` is no text.
            ValueError: No smolvm has such a command, and it was not called either.
        """
        if command is not None:
            command = self._existing(command)
        return Calls(
            call
            for call in self
            if (command is None or f"{call.command} ".startswith(f"{command} "))
            and (machine is None or call.machine == machine)
            and (returncode is None or call.returncode == returncode)
        )

    def _existing(self, command: str) -> str:
        """Return a command that there is; `vm start` is `machine start`."""
        if any(f"{call.command} ".startswith(f"{command} ") for call in self):
            return command
        from fake_smolvm.harness.words import checked_command_of_any

        return checked_command_of_any(command)

    def assert_called_once(self) -> Call:
        """Give the one call; raise AssertionError if there is another or none."""
        if len(self) != 1:
            raise AssertionError(f"expected one call, saw {len(self)}:\n{self!r}")
        return self[0]

    def assert_called_once_with(self, *argv: str) -> Call:
        """Give the one call with exactly this argv, the program included.

        Raises AssertionError if there is no such call, or more than one.
        """
        matching = self._matching(argv)
        if len(matching) != 1:
            raise AssertionError(_miscalled(f"{len(matching)} calls, not one, of", argv, self))
        return matching[0]

    def assert_called_with(self, *argv: str) -> Call:
        """Give the last call with exactly this argv; raise AssertionError if there is none."""
        matching = self._matching(argv)
        if not matching:
            raise AssertionError(_miscalled("no call of", argv, self))
        return matching[-1]

    def assert_not_called(self) -> None:
        """Raise AssertionError if there is any call."""
        if self._calls:
            raise AssertionError(f"expected no call, saw {len(self)}:\n{self!r}")

    def _matching(self, argv: Sequence[str]) -> list[Call]:
        wanted = tuple(masked_argv(argv))
        return [call for call in self if call.argv == wanted]


def from_events(events: Iterable[Event], version: str) -> Calls:
    """Give the calls that a journal's events tell of, as that version of smolvm reads them."""
    starts: dict[str, Event] = {}
    ends: dict[str, Event] = {}
    for event in events:
        if event[0] in ("start", "end"):
            (starts if event[0] == "start" else ends)[event[1]] = event
    in_order = sorted(starts.values(), key=_time)
    return Calls(_call(start, ends.get(start[1]), in_order[0], version) for start in in_order)


def _time(event: Event) -> Any:
    return event[2]


def _call(start: Event, end: Event | None, first: Event, version: str) -> Call:
    from fake_smolvm.harness.reading import read

    argv = ("smolvm", *start[4][1:])
    line = read(argv[1:], version)
    return Call(
        argv=argv,
        command=line.command,
        machine=line.machine,
        returncode=None if end is None else end[3],
        stderr="" if end is None else end[4],
        cwd=start[5],
        started=(_time(start) - _time(first)) / NANOSECONDS,
        seconds=None if end is None else (_time(end) - _time(start)) / NANOSECONDS,
    )


def _miscalled(what: str, argv: Sequence[str], calls: Calls) -> str:
    from difflib import SequenceMatcher
    from shlex import join

    wanted = masked_argv(argv)
    lines = [what, f"  {join(wanted)}"]
    if calls:
        nearest = max(calls, key=lambda call: SequenceMatcher(None, wanted, call.argv).ratio())
        lines += ["the nearest was", f"  {nearest}", "among", repr(calls)]
    else:
        lines.append("and no call of smolvm at all")
    return "\n".join(lines)
