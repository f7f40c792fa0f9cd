"""`machine network-test`: what a machine can reach, by three means."""

from __future__ import annotations

from fake_smolvm.machines.record import Record
from fake_smolvm.operations.connection import (
    DEFAULT_MACHINE,
    find,
    look_up,
    open_state,
)
from fake_smolvm.operations.in_guest import run_in_guest
from fake_smolvm.operations.storage import boot_if_stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host

_NETWORK_UNREACHABLE = 101


def run(matches: Matches, host: Host) -> int:
    """Try a URL from inside the machine; one that does not run is booted for it.

    What `wget` of the guest says is what the egress model says; the other two means follow it. The
    shape of the result is 0.8.0's; no recording has one.
    """
    paths, store = open_state(host)
    name: str | None = matches["name"]
    url: str = matches["url"]
    label = DEFAULT_MACHINE if name is None else name
    look_up(paths, label)
    record = find(store, label) or Record(label, 0)
    boot_if_stopped(host, paths, record, f"Starting machine '{label}'...\n")
    host.out(f"Testing network from machine: {url}\n")
    tried = run_in_guest(host, paths, record, ["wget", "-q", "-O-", "-T", "10", url])
    reached = tried.exit_code == 0
    wget: dict[str, object] = {
        "exit_code": tried.exit_code,
        "stderr": tried.stderr.decode(errors="replace"),
        "stdout_len": len(tried.stdout),
        "success": reached,
        "tool": "wget",
    }
    tcp: dict[str, object] = (
        {
            "connected": True,
            "received_bytes": len(tried.stdout),
            "response_preview": tried.stdout[:200].decode(errors="replace"),
            "sent_request": True,
            "success": True,
        }
        if reached
        else {
            "connected": False,
            "error": f"Network unreachable (os error {_NETWORK_UNREACHABLE})",
            "error_kind": "NetworkUnreachable",
            "raw_os_error": _NETWORK_UNREACHABLE,
            "success": False,
        }
    )
    crane: dict[str, object] = {
        "error": "No such file or directory (os error 2)",
        "tool": "crane",
    }
    from fake_smolvm.fastjson import dumps

    result = {"crane": crane, "syscall_tcp": tcp, "wget": wget}
    host.out(f"Result: {dumps(result, indent=2)}\n")
    return 0
