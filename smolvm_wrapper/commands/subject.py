"""What the commands of every subject are built with."""

from __future__ import annotations

from smolvm_wrapper import dialects, readers
from smolvm_wrapper.command import Command, value
from smolvm_wrapper.durations import as_seconds, as_text
from smolvm_wrapper.errors import (
    EgressNotEnforcedError,
    EgressNotEnforcedWarning,
    IgnoredOptionWarning,
    warn,
)
from smolvm_wrapper.secrets import Remembered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from smolvm_wrapper.command import Env, Finished, Stdin
    from smolvm_wrapper.dialects import Dialect
    from smolvm_wrapper.durations import Duration, GuestDuration
    from smolvm_wrapper.guards import Guards
    from smolvm_wrapper.results import SmolvmRunResult

    R = TypeVar("R")

DEFAULT_CPUS = 4
DEFAULT_MEMORY_MIB = 8192


class Subject:
    """Commands of one subject."""

    def __init__(self, guards: Guards) -> None:
        self.guards = guards
        self._remembered = Remembered()

    @property
    def dialect(self) -> Dialect:
        """How this version of smolvm is spoken to."""
        raise NotImplementedError

    def _command(
        self,
        path: str,
        options: Sequence[str] = (),
        operands: Sequence[str] = (),
        *,
        read: Callable[[Finished], R],
        machine: str | None = None,
        env: Env | None = None,
        stdin: Stdin | None = None,
        must_finish: bool = False,
        on_terminal: bool = False,
        host_timeout: Duration | None = None,
    ) -> Command[R]:
        dialect = self.dialect
        long_options = (option.partition("=")[0] for option in options if option.startswith("--"))
        for feature in (
            path.split(maxsplit=1)[0],
            path,
            *(f"{path} {option}" for option in long_options),
        ):
            dialect.require(feature)
        errors = ["--error-format", "json"] if dialect.has(dialects.JSON_ERRORS) else []
        argv = ("smolvm", *errors, *path.split(), *options, *operands)
        return Command(
            argv,
            read,
            stdin=stdin,
            secrets=[*(env or {}).values(), *self._remembered.of(machine)],
            must_finish=must_finish,
            on_terminal=on_terminal,
            host_timeout=None if host_timeout is None else as_seconds(host_timeout),
        )

    def _remember(self, machine: str, env: Env | None) -> None:
        """Keep in mind what no later error about a machine may show either."""
        self._remembered.add(machine, (env or {}).values())

    def _guest_run(
        self, timeout: GuestDuration | None, *, streamed: bool
    ) -> Callable[[Finished], SmolvmRunResult]:
        return readers.guest_run(
            timed=timeout is not None,
            streamed=streamed,
            signal_is_255=self.dialect.has(dialects.SIGNAL_IS_255),
        )

    def _named(self, name: str) -> list[str]:
        return ["--name", name]

    def _name_as_this_version_wants_it(self, name: str) -> list[str]:
        if self.dialect.has(dialects.NAME_IS_AN_OPTION):
            return self._named(name)
        return [name]

    def _warn_of_unenforced(self, restricted: bool) -> None:
        if (
            restricted
            and self.guards.egress_unenforced
            and self.dialect.has(dialects.EGRESS_NOT_ENFORCED)
        ):
            warn(
                EgressNotEnforcedWarning,
                f"smolvm {self.dialect.version} records the egress list, but by its authors' own"
                f" finding does not enforce it (fixed in {dialects.EGRESS_NOT_ENFORCED.last})",
            )

    def _refuse_dropped(self, restricted: bool, name: str) -> None:
        if (
            restricted
            and self.guards.egress_dropped
            and self.dialect.has(dialects.FROM_DROPS_EGRESS)
        ):
            raise EgressNotEnforcedError(
                f"smolvm {self.dialect.version} drops the egress list of a machine made from an"
                f" artifact: the network of {name!r} would be open (fixed in"
                f" {dialects.FROM_DROPS_EGRESS.last})"
            )

    def _warn_of_ignored(
        self, *, cpus: int | None, mem: int | None, workdir: str | None, gpu: bool
    ) -> None:
        if not self.guards.ignored_options:
            return
        ignored: list[str] = []
        if self.dialect.has(dialects.FROM_DISREGARDS_DEFAULTS):
            ignored += ["cpus=4"] if cpus == DEFAULT_CPUS else []
            ignored += ["mem=8192"] if mem == DEFAULT_MEMORY_MIB else []
        if self.dialect.has(dialects.FROM_IGNORES_WORKDIR_AND_GPU):
            ignored += ["workdir"] if workdir is not None else []
            ignored += ["gpu"] if gpu else []
        for option in ignored:
            warn(
                IgnoredOptionWarning,
                f"smolvm {self.dialect.version} disregards {option} for a machine made from an"
                " artifact: the artifact's own value wins",
            )


def guest_timeout(timeout: GuestDuration | None) -> list[str]:
    """Return the option for how long smolvm lets a guest's command run."""
    return [] if timeout is None else value("--timeout", as_text(timeout))
