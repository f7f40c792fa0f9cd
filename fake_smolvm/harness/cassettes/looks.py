"""What a test sees of machines when it looks at them itself: kept in its cassette, shown again.

A look is tied to the calls that had begun: what a machine is like before a call says nothing about
what it is like after it. Of several looks at the same moment the last one holds from then on, so
that a test that waits for a state need not look as often as it did when it was recorded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from fake_smolvm.harness.cassettes.recorded import Look
from fake_smolvm.harness.on_path.journal import Journal
from fake_smolvm.harness.seen.inspection import Inspection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fake_smolvm.guest import egress
    from fake_smolvm.harness.on_path.sandbox import Sandbox
    from fake_smolvm.machines.paths import Paths

_ERRORS = {"LookupError": LookupError, "OSError": OSError}


class RecordedInspection(Inspection):
    """An inspection that remembers what it said."""

    def __init__(self, inspection: Inspection, sandbox: Sandbox) -> None:
        vars(self).update(vars(inspection))
        self._of = inspection
        self._journal = Journal(str(sandbox.folder))
        self.looks: list[Look] = []

    def states(self) -> dict[str, str]:
        """Return every machine's state by its name, as `Inspection` does."""
        states: dict[str, str] = self._noted(["states"], self._of.states, json.dumps)
        return states

    def status(self, name: str) -> dict[str, Any]:
        """Return what `machine status --json` says, as `Inspection` does."""
        asked = ["status", name]
        status: dict[str, Any] = self._noted(asked, lambda: self._of.status(name), json.dumps)
        return status

    def read_bytes(self, name: str, path: str) -> bytes:
        """Return a file of a machine's guest, as `Inspection` does."""
        content: bytes = self._noted(
            ["read_bytes", name, path],
            lambda: self._of.read_bytes(name, path),
            lambda data: data.decode("utf-8", "surrogateescape"),
        )
        return content

    def _noted(
        self, asked: list[str], ask: Callable[[], Any], written: Callable[[Any], str]
    ) -> Any:
        after = calls_begun(self._journal)
        try:
            answer = ask()
        except (LookupError, OSError) as error:
            kind = "LookupError" if isinstance(error, LookupError) else "OSError"
            self._add(Look(after, asked, failed=f"{kind}: {error}"))
            raise
        self._add(Look(after, asked, written(answer)))
        return answer

    def _add(self, look: Look) -> None:
        if look not in self.looks[-1:]:
            self.looks.append(look)


class ReplayedInspection(Inspection):
    """An inspection that says what one said when the test was recorded."""

    def __init__(self, looks: Iterable[Look], sandbox: Sandbox, fill: Callable[[str], str]) -> None:
        self._looks = list(looks)
        self._journal = Journal(str(sandbox.folder))
        self._fill = fill
        self._last = -1
        """The look that was shown last."""

    def states(self) -> dict[str, str]:
        """Return every machine's state by its name, as it was."""
        states: dict[str, str] = json.loads(self._answer("states"))
        return states

    def status(self, name: str) -> dict[str, Any]:
        """Return what `machine status --json` said."""
        status: dict[str, Any] = json.loads(self._answer("status", name))
        return status

    def read_bytes(self, name: str, path: str) -> bytes:
        """Return a file of a machine's guest, as it was."""
        return self._answer("read_bytes", name, path).encode("utf-8", "surrogateescape")

    def reach(self, name: str, destination: str) -> egress.Reach:
        """Refuse: nothing reaches anything in a replay."""
        self._refuse("reach", name, destination)

    @property
    def paths(self) -> Paths:
        """Refuse: there is nothing to look into."""
        self._refuse("paths")

    def _answer(self, *asked: str) -> str:
        now = calls_begun(self._journal)
        here = [
            index
            for index, look in enumerate(self._looks)
            if look.after == now and [self._fill(word) for word in look.asked] == list(asked)
        ]
        if not here:
            self._refuse(*asked)
        index = next((index for index in here if index > self._last), here[-1])
        self._last = max(index, self._last)
        look = self._looks[index]
        if look.answer is not None:
            return self._fill(look.answer)
        kind, _, why = self._fill(look.failed or "").partition(": ")
        raise _ERRORS.get(kind, OSError)(why)

    def _refuse(self, *asked: str) -> NoReturn:
        number = calls_begun(self._journal)
        raise RuntimeError(
            "a replay has no machines to look at, only calls and what the test saw when it was"
            f" recorded: it did not ask for {' '.join(asked)} after {number} calls then; record it"
            " again with --smolvm=real --smolvm-record=rewrite"
        )


def calls_begun(journal: Journal) -> int:
    """Return how many calls a journal has."""
    return sum(event[0] == "start" for event in journal.events())
