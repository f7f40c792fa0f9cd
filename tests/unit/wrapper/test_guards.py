"""Each guard: what it does, and that it can be switched off."""

from __future__ import annotations

import inspect
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smolvm_wrapper import (
    CommandBuilder,
    EgressNotEnforcedError,
    EgressNotEnforcedWarning,
    Guards,
    IgnoredOptionWarning,
    MachineNotFoundError,
    MachineRunningError,
    SmolvmError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EGRESS: list[dict[str, Any]] = [
    {"allow_cidrs": ["10.0.0.0/8"]},
    {"allow_hosts": ["example.com"]},
    {"outbound_localhost_only": True},
]
GUARDS = list(inspect.signature(Guards).parameters)
OFF = Guards(**dict.fromkeys(GUARDS, False))


def test_every_guard_is_on_by_default() -> None:
    assert all(getattr(Guards(), guard) for guard in GUARDS)


@pytest.mark.parametrize("egress", EGRESS)
@pytest.mark.parametrize("version", ["0.8.0", "1.7.7"])
def test_dropped_egress_is_refused(version: str, egress: dict[str, Any]) -> None:
    with pytest.raises(EgressNotEnforcedError, match=r"1\.8\.0"):
        CommandBuilder(version).machine_create("vm", from_path="x", **egress)
    assert CommandBuilder(version, OFF).machine_create("vm", from_path="x", **egress)


@pytest.mark.parametrize("egress", EGRESS)
def test_egress_with_from_works_from_1_8_0(egress: dict[str, Any]) -> None:
    assert CommandBuilder("1.8.0").machine_create("vm", from_path="x", **egress)


@pytest.mark.parametrize("egress", EGRESS)
def test_unenforced_egress_warns(egress: dict[str, Any]) -> None:
    for build in (
        lambda commands: commands.machine_create("vm", **egress),
        lambda commands: commands.machine_run(["true"], **egress),
    ):
        with pytest.warns(EgressNotEnforcedWarning, match=r"1\.1\.3") as warned:
            build(CommandBuilder("1.1.2"))
        assert warned[0].filename == __file__
        build(CommandBuilder("1.1.3"))
        build(CommandBuilder("1.1.2", OFF))


@pytest.mark.parametrize(
    ("options", "ignored", "until"),
    [
        ({"cpus": 4}, "cpus=4", "1.13.1"),
        ({"mem": 8192}, "mem=8192", "1.13.1"),
        ({"workdir": "/x"}, "workdir", "1.32.2"),
        ({"gpu": True}, "gpu", "1.32.2"),
    ],
)
def test_ignored_options_warn(options: dict[str, Any], ignored: str, until: str) -> None:
    for version in ("0.8.0", until):
        with pytest.warns(IgnoredOptionWarning, match=ignored):
            CommandBuilder(version).machine_create("vm", from_path="x", **options)
    CommandBuilder("0.8.0", OFF).machine_create("vm", from_path="x", **options)
    CommandBuilder("0.8.0").machine_create("vm", **options)


def test_honoured_options_do_not_warn() -> None:
    CommandBuilder("0.8.0").machine_create("vm", from_path="x", cpus=3, mem=4096)
    CommandBuilder("1.18.2").machine_create("vm", from_path="x", cpus=4, mem=8192)


@pytest.mark.parametrize(
    "build",
    [
        lambda commands: commands.machine_start("--all"),
        lambda commands: commands.pack_push("--x", "file"),
        lambda commands: commands.machine_network_test("vm", "--x"),
        lambda commands: commands.machine_exec("vm", ["x"], env={"A=B": "c"}),
        lambda commands: commands.machine_update("vm", env={"-A": "c"}),
        lambda commands: commands.machine_create("vm", volumes=["/a:b:/c"]),
        lambda commands: commands.machine_run(volumes=["/a"]),
        lambda commands: list(commands.machine_cp("a:b", "vm:/x")),
    ],
)
def test_what_would_be_misread_is_refused(build: Callable[[CommandBuilder], Any]) -> None:
    with pytest.raises(UsageError):
        build(CommandBuilder("0.8.0"))
    assert build(CommandBuilder("0.8.0", OFF))


@pytest.mark.parametrize("volume", ["/a:/b", "/a:/b:ro", "./a:/b:rw"])
def test_good_volumes_pass(volume: str) -> None:
    argv = CommandBuilder("0.8.0").machine_create("vm", volumes=[volume]).argv
    assert argv[-3:] == ("-v", volume, "vm")


@pytest.mark.parametrize("name", ["", None, 3, "-f"])
def test_a_machine_is_always_named(name: Any) -> None:
    with pytest.raises(UsageError):
        CommandBuilder("1.32.2").machine_delete(name).send(None)


# --- those that take running ---


def test_delete_stops_first(client: Any, stub: Any) -> None:
    stub.does("")
    client(stub.path).machine_delete("vm")
    client(stub.path, version="1.7.1").machine_delete("vm")
    client(stub.path, version="1.7.2").machine_delete("vm")
    client(stub.path, guards=Guards(stop_before_delete=False)).machine_delete("vm")
    old, new = ["machine", "delete", "-f", "vm"], ["machine", "delete", "-f", "--name", "vm"]
    stop = ["machine", "stop", "--name", "vm"]
    assert stub.calls == [stop, old, stop, new, new, old]


def test_a_machine_that_cannot_be_stopped_is_not_deleted(client: Any, stub: Any) -> None:
    stub.does("sys.exit('Error: no' if 'stop' in args else 0)")
    with pytest.raises(SmolvmError, match="Error: no"):
        client(stub.path).machine_delete("vm")
    assert len(stub.calls) == 1


UNKNOWN = """
if 'stop' in args:
    print(f"Machine '{args[-1]}' not found or not running")
else:
    sys.exit('Error: vm not found: vm')
"""


def test_stop_of_an_unknown_machine_is_an_error(client: Any, stub: Any) -> None:
    stub.does(UNKNOWN)
    with pytest.raises(MachineNotFoundError, match="not found or not running"):
        client(stub.path).machine_stop("vm")
    client(stub.path, guards=Guards(unknown_stop=False)).machine_stop("vm")


def test_delete_of_an_unknown_machine_is_deletes_error(client: Any, stub: Any) -> None:
    stub.does(UNKNOWN)
    with pytest.raises(MachineNotFoundError) as failure:
        client(stub.path).machine_delete("vm")
    assert failure.value.argv[2] == "delete"


def test_machine_name_variable(client: Any, stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.does("print(os.environ.get('SMOLVM_MACHINE_NAME'))")
    monkeypatch.setenv("SMOLVM_MACHINE_NAME", "production")
    off = Guards(machine_name_variable=False)
    assert client(stub.path).config_show() == "None\n"
    assert client(stub.path, guards=off).config_show() == "production\n"


DOWNLOAD = """
target = args[-1]
if os.path.isfile(target): os.unlink(target)   # as 0.8.0 does (H4)
if 'missing' in args[-2]: sys.exit('Error: agent operation failed: read file: failed')
open(target, 'w').write('new')
"""


def test_a_failed_download_destroys_nothing(client: Any, stub: Any, tmp_path: Path) -> None:
    stub.does(DOWNLOAD)
    kept = tmp_path / "kept"
    for copy in (
        lambda one: one.machine_cp("vm:/missing", str(kept)),
        lambda one: one.machine("vm").cp_out("/missing", kept),
    ):
        kept.write_text("old")
        with pytest.raises(SmolvmError):
            copy(client(stub.path))
        assert kept.read_text() == "old"
        with pytest.raises(SmolvmError):
            copy(client(stub.path, guards=Guards(safe_downloads=False)))
        assert not kept.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_a_download_replaces_its_target_and_keeps_its_mode(
    client: Any, stub: Any, tmp_path: Path
) -> None:
    stub.does(DOWNLOAD)
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    client(stub.path).machine_cp("vm:/x", str(link))
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("new", 0o600)
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "link", "target"]


def test_made_up_names_have_a_known_form(client: Any, stub: Any, tmp_path: Path) -> None:
    """Recordings recognise them (copying.py)."""
    stub.does("if args[-2] == 'vm:/x': open(args[-1], 'w')")
    client(stub.path).machine_cp("vm:/x", str(tmp_path / "file"))
    assert re.fullmatch(
        re.escape(str(tmp_path)) + r"/\.smolvm-[0-9a-f]{16}\.part", stub.calls[0][-1]
    )
    (tmp_path / "a:b").write_text("")
    client(stub.path).machine_cp(str(tmp_path / "a:b"), "vm:/x")
    assert re.fullmatch(
        re.escape(tempfile.gettempdir()) + r"/smolvm-[a-z0-9_]{8}/file", stub.calls[1][-2]
    )


def test_a_download_to_a_new_file(client: Any, stub: Any, tmp_path: Path) -> None:
    stub.does(DOWNLOAD)
    client(stub.path).machine("vm").cp_out("/x", tmp_path / "new")
    assert (tmp_path / "new").read_text() == "new"


@pytest.mark.parametrize("target", ["/dev/null", "folder", "folder/", "no-folder/x"])
def test_what_is_no_file_is_left_to_smolvm(
    client: Any, stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    stub.does("")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    client(stub.path).machine_cp("vm:/x", target)
    assert stub.calls == [["machine", "cp", "vm:/x", target]]


def test_a_download_that_wrote_nothing_is_an_error(client: Any, stub: Any, tmp_path: Path) -> None:
    stub.does("")
    with pytest.raises(SmolvmError, match="wrote nothing"):
        client(stub.path).machine_cp("vm:/x", str(tmp_path / "x"))


def test_a_host_path_with_a_colon_is_copied_by_another_name(
    client: Any, stub: Any, tmp_path: Path
) -> None:
    stub.does("print(open(args[-2]).read()); note(os.path.basename(args[-2]))")
    odd = tmp_path / "a:b"
    odd.write_text("content")
    client(stub.path).machine_cp(str(odd), "vm:/x:y")
    client(stub.path).machine("vm").cp_in(odd, "/x")
    used = [call[2] for call in stub.calls if call[0] == "machine"]
    assert [call for call in stub.calls if len(call) == 1] == [["file"], ["file"]]
    assert not any(":" in path or Path(path).exists() for path in used)
    client(stub.path, guards=Guards(colon_paths=False)).machine_cp(str(odd), "vm:/x")
    assert stub.calls[-2][2] == str(odd)


def test_a_colon_in_a_downloads_target_is_harmless(client: Any, stub: Any, tmp_path: Path) -> None:
    stub.does(DOWNLOAD)
    client(stub.path).machine_cp("vm:/x", str(tmp_path / "a:b"))
    assert (tmp_path / "a:b").read_text() == "new"


@pytest.mark.parametrize(("src", "dst"), [("-x", "vm:/x"), ("vm:/x", "-x")])
def test_paths_like_options_are_made_safe(
    client: Any, stub: Any, monkeypatch: pytest.MonkeyPatch, src: str, dst: str
) -> None:
    stub.does("open(args[-1], 'w')" if dst == "-x" else "")
    monkeypatch.chdir(stub.path.parent)
    client(stub.path).machine_cp(src, dst)
    assert not any(word.startswith("-") for word in stub.calls[0])


def test_running_machines_tell_so(client: Any, stub: Any) -> None:
    stub.does("sys.exit('Error: invalid vm state: expected stopped, got Running')")
    with pytest.raises(MachineRunningError):
        client(stub.path).machine_update("vm", cpus=2)
