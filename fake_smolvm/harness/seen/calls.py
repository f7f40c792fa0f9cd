"""The calls of `smolvm` that a test saw, to read, filter and assert on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from fake_smolvm.harness.on_path.secrets import cut_mark, masked_argv
from fake_smolvm.harness.seen.call import NANOSECONDS, Call, Environment
from fake_smolvm.harness.seen.masked import differing, restored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fake_smolvm.harness.on_path.journal import Event


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
        from fake_smolvm.harness.seen.timeline import timeline

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
        """Return the one call; raise AssertionError if there is another or none."""
        if len(self) != 1:
            raise AssertionError(f"expected one call, saw {len(self)}:\n{self!r}")
        return self[0]

    def assert_called_once_with(self, *argv: str) -> Call:
        """Return the one call with exactly this argv, the program included.

        Raises AssertionError if there is no such call, or more than one.
        """
        matching = self._matching(argv)
        if len(matching) != 1:
            raise AssertionError(_miscalled(f"{len(matching)} calls, not one, of", argv, self))
        return matching[0]

    def assert_called_with(self, *argv: str) -> Call:
        """Return the last call with exactly this argv; raise AssertionError if there is none."""
        matching = self._matching(argv)
        if not matching:
            raise AssertionError(_miscalled("no call of", argv, self))
        return matching[-1]

    def assert_not_called(self) -> None:
        """Raise AssertionError if there is any call."""
        if self._calls:
            raise AssertionError(f"expected no call, saw {len(self)}:\n{self!r}")

    def _matching(self, argv: Sequence[str]) -> list[Call]:
        wanted = tuple(argv)
        return [call for call in self if call.argv == wanted]


def from_events(events: Iterable[Event], version: str, key: str) -> Calls:
    """Return the calls that a journal's events tell of, as that version of smolvm reads them.

    `key` is that of what is scrambled in them.
    """
    calls: dict[str, _Noted] = {}
    given: list[Event] = []
    for event in sorted(_once_each(events), key=_time):
        kind, call, *_ = event
        if kind in ("start", "spawned"):
            calls[call or f"{event[3]}-{event[2]}"] = _Noted(event)
        elif kind == "given":
            given.append(event)
        elif call in calls:
            calls[call].add(event)
    for event in given:
        for noted in _candidates(event, calls.values()):
            noted.given.append(event)
            break
    first = min(map(_time, (noted.start for noted in calls.values())), default=0)
    return Calls(noted.call(first, version, key) for noted in calls.values())


class _Noted:
    """All events of one call."""

    def __init__(self, start: Event) -> None:
        self.start = start
        self.end: Event | None = None
        self.read: list[Event] = []
        self.given: list[Event] = []

    def add(self, event: Event) -> None:
        if event[0] == "end":
            self.end = event
        elif event[0] == "read":
            self.read.append(event)

    def call(self, first: int, version: str, key: str) -> Call:
        from fake_smolvm.harness.seen.reading import read

        _, _, began, _, words, cwd, marks, env, *_ = self.start
        end = self.end
        words = ["smolvm", *words[1:]]
        line = read(words[1:], version)
        return Call(
            argv=restored(words, marks, key),
            command=line.command,
            machine=line.machine,
            returncode=None if end is None else end[3],
            stderr="" if end is None else end[4],
            stdout="" if end is None else end[5],
            stdin=self._stdin(),
            env=Environment(env, key),
            cwd=cwd,
            started=(began - first) / NANOSECONDS,
            seconds=None if end is None else (end[2] - began) / NANOSECONDS,
        )

    def _stdin(self) -> bytes:
        from fake_smolvm.harness.on_path.journal import KEPT, Head

        head = Head()
        file: tuple[bytes, int] | None = self.start[8] if self.start[0] == "start" else None
        for data, more in [event[-2:] for event in self.given or self.read] or [file or (b"", 0)]:
            head.add(data)
            head.size += more
        return bytes(head.data[:KEPT]) + (cut_mark(head.more).encode() if head.more else b"")


def _once_each(events: Iterable[Event]) -> list[Event]:
    """Return events where a call that tells of itself, and was told of, is there once.

    It began when it was started; its own note comes after the start of an interpreter.
    """
    events = sorted(events, key=_time)
    own: dict[int, list[Event]] = {}
    for event in events:
        if event[0] == "start":
            own.setdefault(event[3], []).append(event)
    began: dict[str, int] = {}
    alone = []
    for event in events:
        if event[0] == "spawned":
            later = [it for it in own.get(event[3], ()) if it[2] >= event[2] and it[1] not in began]
            if later:
                began[later[0][1]] = event[2]
            else:
                alone.append(event)
    rest = [event for event in events if event[0] != "spawned"]
    return alone + [
        (*event[:2], began.get(event[1], event[2]), *event[3:]) if event[0] == "start" else event
        for event in rest
    ]


def _candidates(given: Event, calls: Iterable[_Noted]) -> list[_Noted]:
    """Return the calls with that process ID, the likeliest first: process IDs come again."""
    found = [noted for noted in calls if noted.start[3] == given[3]]
    return sorted(found, key=lambda noted: noted.end is not None and noted.end[2] < given[2])


def _time(event: Event) -> Any:
    return event[2]


def _miscalled(what: str, argv: Sequence[str], calls: Calls) -> str:
    from difflib import SequenceMatcher
    from shlex import join

    # `mock.ANY` and its like are no words.
    argv = [word if isinstance(word, str) else repr(word) for word in argv]
    wanted = masked_argv(argv)
    lines = [what, f"  {join(wanted)}"]
    if calls:
        nearest = max(
            calls,
            key=lambda call: SequenceMatcher(None, wanted, list(map(str, call.argv))).ratio(),
        )
        lines += ["the nearest was", f"  {nearest}"]
        lines += [f"where the value of {word} is another" for word in differing(nearest.argv, argv)]
        lines += ["among", repr(calls)]
    else:
        lines.append("and no call of smolvm at all")
    return "\n".join(lines)
