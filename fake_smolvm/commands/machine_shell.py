"""`machine shell`: a shell on a terminal, in a machine that runs."""

from __future__ import annotations

from fake_smolvm.operations.session import Leaving, execute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host


def run(matches: Matches, host: Host) -> int:
    """Run `/bin/sh`; a machine that is stopped stays so, whatever the help says."""
    with Leaving(host) as leaving:
        leaving.code = execute(host, matches["name"], ["/bin/sh"], interactive=True, terminal=True)
    return leaving.code
