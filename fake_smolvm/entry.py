"""The command `smolvm` of the fake: picks the version, reads the line, runs the command."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` costs more than all of this module
import os
import sys

from fake_smolvm import grammars, variables
from fake_smolvm.clap.lazy import LazyModule
from fake_smolvm.clap.outcome import ParseExit
from fake_smolvm.clap.parser import parse
from fake_smolvm.errors import CommandError, LimitError, OutputError, SetupError, os_error_text
from fake_smolvm.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO, TextIO

    from fake_smolvm.clap.outcome import Matches
    from fake_smolvm.grammars import value_parsers
else:
    value_parsers = LazyModule("fake_smolvm.grammars.value_parsers")

VALUE_PARSERS: Mapping[str, Callable[[str], object]] = {
    "byte_size": lambda text: value_parsers.byte_size(text),  # noqa: PLW0108 - loads it
    "cidr": lambda text: value_parsers.cidr(text),  # noqa: PLW0108 - loads it
    "duration": lambda text: value_parsers.duration(text),  # noqa: PLW0108 - loads it
    "gpu_vram_mib": lambda text: value_parsers.gpu_vram_mib(text),  # noqa: PLW0108 - loads it
    "image": lambda text: value_parsers.image(text),  # noqa: PLW0108 - loads it
    "ipv4": lambda text: value_parsers.ipv4(text),  # noqa: PLW0108 - loads it
    "port_mapping": lambda text: value_parsers.port_mapping(text),  # noqa: PLW0108 - loads it
}
"""smolvm's own value types, by their names in the grammars; the module is loaded at first use."""

_PANIC = 101
"""Exit code of a Rust program that panics, as smolvm does when nobody reads its output."""


def main() -> int:
    """Run the fake on this process's argv; return the exit code."""
    return as_process(lambda host: run(sys.argv[1:], host))


def as_process(body: Callable[[Host], int]) -> int:
    """Run `body` with this process as its host; return the exit code."""
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    host = Host(
        env=os.environ,
        cwd=_working_directory(),
        stdin=_binary(sys.stdin, "rb"),
        stdout=_binary(sys.stdout, "wb"),
        stderr=_binary(sys.stderr, "wb"),
    )
    try:
        code = body(host)
        host.stdout.flush()
        host.stderr.flush()
    except (BrokenPipeError, OutputError) as error:
        _complain(host, error)
    except OSError as error:
        _complain(host, OutputError(f"failed printing: {os_error_text(error)}"))
    else:
        return code
    # Nothing is left for Python to write at its end.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, host.stdout.fileno())
    os.dup2(nowhere, host.stderr.fileno())
    return _PANIC


def _complain(host: Host, error: Exception) -> None:
    """Say which stream failed, if that can still be said."""
    if isinstance(error, OutputError):
        try:
            host.err(f"fake_smolvm: {error}\n")
        except (OSError, OutputError):
            pass


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _binary(stream: TextIO | None, mode: str) -> BinaryIO:
    """Return the bytes of a standard stream; a closed one is empty, as Rust makes it."""
    return open(os.devnull, mode) if stream is None else stream.buffer  # type: ignore[return-value]


def run(argv: Sequence[str], host: Host) -> int:
    """Run the fake on `argv` (without the program's name); return the exit code."""
    return guarded(lambda: _run(argv, host), host)


def guarded(body: Callable[[], int], host: Host) -> int:
    """Run `body`; say in one sentence what the world around it lacks, and return the exit code.

    2 where the fake's own setup is wrong, 1 where the system refuses (a disk, a right, memory).
    A mistake of the fake itself goes through, so that the harness hears of it.
    """
    try:
        return body()
    except SetupError as error:
        host.err(f"fake_smolvm: {error.message}\n")
        return 2
    except LimitError as error:
        host.err(f"fake_smolvm: {error.message}\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "" if error.filename is None else f"{_shown(error.filename)}: "
        host.err(f"fake_smolvm: {where}{os_error_text(error)}\n")
    except EOFError:
        # Python itself leaves such a file behind where the disk was full when it compiled one.
        package = os.path.dirname(__file__)
        host.err(f"fake_smolvm: a compiled file in {package} is cut short: remove __pycache__\n")
    except MemoryError:
        host.err("fake_smolvm: out of memory\n")
    except RecursionError:
        host.err("fake_smolvm: something it was given is nested too deeply\n")
    return 1


def _shown(path: object) -> str:
    return os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path)


def _run(argv: Sequence[str], host: Host) -> int:
    version = host.env.get(variables.VERSION) or grammars.DEFAULT_VERSION
    host.version = version
    try:
        grammar = grammars.load(version, host.env)
    except LookupError as error:
        raise SetupError(f"{variables.VERSION}: {error.args[0]}") from None
    try:
        matches = parse(grammar, argv, VALUE_PARSERS)
    except ParseExit as end:
        host.out(end.stdout)
        host.err(end.stderr)
        return end.code
    _check_given(host.env)
    if host.scenario is None and host.env.get(variables.SCENARIO):
        from fake_smolvm.scenarios import ScenarioError
        from fake_smolvm.scenarios.scenario import load

        try:
            host.scenario = load(host.env[variables.SCENARIO], grammar)
        except ScenarioError as error:
            raise SetupError(f"{variables.SCENARIO}: {error.message}") from None
    if host.scenario is not None:
        code = host.scenario.intercept(matches, host)
        if code is not None:
            return code
    return _run_command(matches, host)


def _check_given(env: Mapping[str, str]) -> None:
    """Raise SetupError for a variable that is wrong, whether or not the command comes to use it."""
    for variable, (module, function) in _CHECKS.items():
        value = env.get(variable)
        if value and not (variable == variables.NETWORK and _is_empty(value)):
            name = f"fake_smolvm.{module}"
            __import__(name)
            getattr(sys.modules[name], function)(env)


_CHECKS = {
    variables.KVM: ("machines.boot", "has_hypervisor"),
    variables.BOOT_SECONDS: ("machines.boot", "boot_seconds"),
    variables.IMAGES: ("guest.images", "check"),
    variables.NETWORK: ("guest.egress", "network_of"),
}
"""Who checks a variable; all but the last are rarely set."""


def _is_empty(path: str) -> bool:
    """Tell whether a file says nothing, as the harness's network does until a test says more."""
    try:
        return os.stat(path).st_size == 0
    except (OSError, ValueError):
        return False


def _run_command(matches: Matches, host: Host) -> int:
    name = "_".join(matches.command).replace("-", "_").lstrip("_")
    module = f"fake_smolvm.commands.{name}"
    try:
        __import__(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise LimitError(f"smolvm {' '.join(matches.command)} is not emulated") from None
    try:
        code: int = sys.modules[module].run(matches, host)
    except CommandError as error:
        host.err(f"Error: {error.message}\n")
        return 1
    return code
