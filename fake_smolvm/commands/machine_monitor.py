"""`machine monitor`: watches a machine, and starts it again when it dies."""

from __future__ import annotations

import time

from fake_smolvm.errors import CommandError
from fake_smolvm.machines.agent import agent_of
from fake_smolvm.operations.connection import DEFAULT_MACHINE, look_up, open_state
from fake_smolvm.operations.starting import start
from fake_smolvm.operations.stopping import stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.host import Host
    from fake_smolvm.machines.paths import Paths
    from fake_smolvm.machines.record import Record
    from fake_smolvm.machines.store import Store

_LONGEST_BACKOFF = 300
"""Seconds, unless the record says otherwise."""

_HIGHEST_EXPONENT = 8


def run(matches: Matches, host: Host) -> int:
    """Watch a machine until Ctrl-C, or until it is dead and is not to be restarted."""
    paths, store = open_state(host)
    name: str = DEFAULT_MACHINE if matches["name"] is None else matches["name"]
    record = store.get(name)
    if record is None:
        raise CommandError(f"vm not found: {name}")
    if matches["restart"] is not None:
        from fake_smolvm.machines.smolfile import restart_policy

        record.restart_policy = restart_policy(matches["restart"], "--restart")
    look_up(paths, name)
    process = agent_of(paths, name)
    if process is None:
        host.out(f"Machine '{name}' is not running, starting...\n")
        start(host, paths, store, record)
    watch = _Watch(host, paths, store, record, matches)
    if not host.in_process:
        import _signal  # type: ignore[import-not-found] # `signal` itself imports enum

        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    try:
        watch.run()
    except KeyboardInterrupt:
        pass

    def stopped_by_user(record: Record) -> None:
        record.user_stopped = True

    store.update(name, stopped_by_user)
    host.out(f"\nStopped monitoring. Machine '{name}' may still be running.\n")
    return 0


class _Watch:
    """The loop of one `monitor`."""

    def __init__(
        self, host: Host, paths: Paths, store: Store, record: Record, matches: Matches
    ) -> None:
        self._host = host
        self._paths = paths
        self._store = store
        self._record = record
        command: str | None = matches["health_cmd"]
        self._health: Sequence[str] | None = (
            record.health_cmd if command is None else ["sh", "-c", command]
        )
        self._timeout = _first(record.health_timeout_secs, matches["health_timeout"])
        self._retries = _first(record.health_retries, matches["health_retries"])
        self._interval = _first(record.health_interval_secs, matches["interval"])
        self._grace = record.health_startup_grace_secs or 0
        self._failures = 0
        self._started = time.monotonic()

    def run(self) -> None:
        """Look every interval; returns once the machine is dead and stays so."""
        record = self._record
        self._host.out(
            f"Monitoring machine '{record.name}' (policy: {record.restart_policy}, "
            f"interval: {self._interval}s)\n"
        )
        if self._health is not None:
            self._host.out(f"  Health check: retries={self._retries}, timeout={self._timeout}s\n")
        while True:
            time.sleep(self._interval)
            if agent_of(self._paths, record.name) is not None:
                if self._health is not None and time.monotonic() - self._started >= self._grace:
                    self._check_health(self._health)
            elif not self._restarted():
                return

    def _check_health(self, command: Sequence[str]) -> None:
        label = f"{self._failures + 1}/{self._retries}"
        try:
            from fake_smolvm.operations.in_guest import run_in_guest

            result = run_in_guest(
                self._host, self._paths, self._record, command, timeout=self._timeout
            )
        except CommandError as error:
            self._failures += 1
            self._host.out(f"  health check error ({label}): {error.message}\n")
        else:
            if result.exit_code == 0:
                if self._failures:
                    self._host.out("  health check passed (recovered)\n")
                self._failures = 0
                return
            self._failures += 1
            said = result.stderr.decode(errors="replace").strip()
            self._host.out(f"  health check failed (exit {result.exit_code}, {label}): {said}\n")
        if self._failures >= self._retries:
            self._host.out("  unhealthy — stopping machine for restart\n")
            stop(self._host, self._paths, self._store, self._record.name)

    def _restarted(self) -> bool:
        """Start the dead machine again, if it is to be; whether to go on watching."""
        record, host = self._record, self._host
        self._failures = 0
        host.out("  machine exited (exit code: unknown)\n")
        self._store.update(record.name, _set_exited)
        limit = record.restart_max_retries
        spent = 0 < limit <= record.restart_count
        by_user = record.restart_policy == "unless-stopped" and record.user_stopped
        if spent or by_user or record.restart_policy == "never":
            host.out(
                f"  not restarting (policy: {record.restart_policy}, "
                f"count: {record.restart_count}/{limit or 'unlimited'})\n"
            )
            return False
        backoff = min(
            2 ** min(record.restart_count, _HIGHEST_EXPONENT),
            record.restart_max_backoff_secs or _LONGEST_BACKOFF,
        )
        record.restart_count += 1
        host.out(f"  restarting (attempt {record.restart_count}, backoff {backoff}s)...\n")
        self._store.update(record.name, self._set_restart_count)
        time.sleep(backoff)
        try:
            start(host, self._paths, self._store, self._store.get(record.name) or record)
        except CommandError as error:
            host.out(f"  restart failed: {error.message}\n")
        else:
            host.out("  machine restarted\n")
            self._started = time.monotonic()
        return True

    def _set_restart_count(self, record: Record) -> None:
        record.restart_count = self._record.restart_count


def _set_exited(record: Record) -> None:
    record.state = "stopped"
    record.pid = None


def _first(recorded: int | None, given: int) -> int:
    return given if recorded is None else recorded
