"""`machine exec`: one command in a running machine."""

from __future__ import annotations

from fake_smolvm.operations.session import Leaving, execute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Run a command, with its output at the end, as it comes, or on a terminal."""
    with Leaving(host) as leaving:
        leaving.code = execute(
            host,
            matches["name"],
            matches["command"],
            env=matches["env"],
            workdir=matches["workdir"],
            timeout=matches["timeout"],
            interactive=matches["interactive"],
            terminal=matches["tty"],
            stream=matches["stream"],
        )
    return leaving.code
