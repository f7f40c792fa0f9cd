"""The world outside the machines, as a test has it: see `fake_smolvm.machines.egress`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fake_smolvm.harness import toml

if TYPE_CHECKING:
    from pathlib import Path


class Outside:
    """Hosts that have addresses, and URLs that answer."""

    def __init__(self, path: Path) -> None:
        """Keep them in the file at `path`, which every process of the fake reads."""
        self._path = path
        self.hosts: dict[str, list[str]] = {}
        self.answers: list[dict[str, Any]] = []

    def write(self) -> None:
        """Let the fake know."""
        lines = ["[hosts]", *(f"{toml.string(name)} = {toml.value(found)}"
                              for name, found in self.hosts.items())]  # fmt: skip
        tables = [toml.table("answer", answer) for answer in self.answers]
        self._path.write_text("\n".join([*lines, "", *tables]), encoding="utf-8")
