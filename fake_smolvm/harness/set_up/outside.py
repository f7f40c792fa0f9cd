"""The world outside the machines, as a test has it: see `fake_smolvm.guest.egress`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fake_smolvm.guest import egress
from fake_smolvm.harness import toml, words
from fake_smolvm.harness.set_up import met

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_FIRST_STATUS, _LAST_STATUS = 100, 599


class Outside:
    """Hosts that have addresses, and URLs that answer."""

    def __init__(self, path: Path) -> None:
        """Keep them in the file at `path`, which every process of the fake reads."""
        self._path = path
        self._hosts: dict[str, list[str]] = {}
        self._answers: list[dict[str, Any]] = []
        self._met = met.Met(f"{path}.met")

    def add_host(self, name: str, addresses: Sequence[str]) -> None:
        """Add a host.

        Raises:
            TypeError: An argument is no text.
            ValueError: There is no address, or one that is none.
        """
        words.checked_text("a host's name", name)
        if not name or set(name) & set("/: \t\n"):
            raise ValueError(f"{name!r} is no name of a host: it is such as 'api.example.com'")
        if not addresses:
            raise ValueError(f"the host {name!r} needs an address, such as '192.0.2.7'")
        for address in addresses:
            if not egress.is_address(words.checked_text("an address", address)):
                raise ValueError(f"{address!r} is no IP address: it is such as '192.0.2.7'")
        self._hosts[name] = list(addresses)
        self._write()

    def add_answer(self, url: str, status: int, body: str) -> None:
        """Add an answer.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: It is no URL of HTTP, or no status.
        """
        if not words.checked_text("url", url).startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no URL: it begins with 'http://' or 'https://'")
        words.checked_count("status", status, least=_FIRST_STATUS, most=_LAST_STATUS)
        words.checked_text("body", body)
        self._met.expect(met.shown("outside_answer", url))
        # What is first met answers: the same URL once more changes nothing.
        self._met.mark(str(len(self._answers)))
        self._answers.append({"url": url, "status": status, "body": body})
        self._write()

    def unmet(self, killed: Iterable[str]) -> list[str]:
        """Return the answers that nobody asked for; a host need not be looked up."""
        return self._met.unmet(killed)

    def _write(self) -> None:
        """Tell the fake."""
        lines = [f"journal = {toml.string(self._met.path)}", "", "[hosts]"]
        lines += [f"{toml.string(name)} = {toml.value(of)}" for name, of in self._hosts.items()]
        tables = [toml.table("answer", answer) for answer in self._answers]
        self._path.write_text("\n".join([*lines, "", *tables]), encoding="utf-8")
