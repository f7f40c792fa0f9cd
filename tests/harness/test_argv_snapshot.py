from __future__ import annotations

import pytest

from fake_smolvm.harness.on_path.secrets import digest
from fake_smolvm.harness.snapshots.meanings import verdict

SNAPS = """
import pytest

@pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
def test_snap(request, fixture, argv_snapshot, tmp_path):
    smolvm = request.getfixturevalue(fixture)
    smolvm.run("machine", "create", "-s", str(tmp_path / "x"), "-e", "TOKEN=hunter22", "box")
    smolvm.run("machine", "exec", "--name", "box", "--", "echo", "a\\\\nb", " ", "", "x\\ny")
    assert argv_snapshot == smolvm.calls
"""
WRITTEN = """\
smolvm
    machine
    create
    -s
    <TESTS>/test_snap_smolvm_0/x
    -e
    TOKEN=*** (HIDDEN)
    box
  0.8.0: accepted
  1.4.0: refused: unexpected argument 'box' found

smolvm
    machine
    exec
    --name
    box
    --
    echo
    a\\nb
    " "
    ""
    "x\\ny"
  0.8.0: accepted
  1.4.0: accepted
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    # If these tests themselves run under pytest-xdist, the runs in them are no workers of that.
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makeini("[pytest]\nsmolvm_cli_versions = 0.8.0 1.4.0\n")
    pytester.makepyfile(test_it=SNAPS)
    return pytester


def test_one_readable_file_a_test(project: pytest.Pytester) -> None:
    project.runpytest("--snapshot-update").assert_outcomes(passed=2)
    written = project.path / "__snapshots__" / "test_it" / "test_snap[smolvm].argv"
    hidden = digest("hunter22", f"test_it.py::{written.stem}")
    assert written.read_text(encoding="utf-8") == WRITTEN.replace("HIDDEN", hidden)
    project.runpytest().assert_outcomes(passed=2)
    project.runpytest("-n2").assert_outcomes(passed=2)


def test_snapshot_that_is_not_met_or_not_used_fails(project: pytest.Pytester) -> None:
    project.runpytest("--snapshot-update")
    project.makepyfile(test_it=SNAPS.replace('"box")', '"bax")'))
    result = project.runpytest()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*-     box*", "*+     bax*"])
    project.makepyfile(test_it="def test_other(argv_snapshot): assert argv_snapshot == []")
    result = project.runpytest("-n2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*2 snapshots unused*"])


def test_new_version_shows_as_a_difference(project: pytest.Pytester) -> None:
    project.runpytest("--snapshot-update")
    project.makeini("[pytest]\nsmolvm_cli_versions = 0.8.0\n")
    result = project.runpytest("-vv")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*-   1.4.0: refused: unexpected argument 'box' found*"])


def test_argvs_of_ones_own_are_masked_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        def test_list(argv_snapshot):
            line = ["smolvm", "machine", "run", "-eA=hunter22", "--", "-e", "B=c"]
            assert argv_snapshot == [line]
        """
    )
    pytester.runpytest("--snapshot-update").assert_outcomes(passed=1)
    (path,) = pytester.path.glob("__snapshots__/*/*")
    hidden = digest("hunter22", "test_it.py::test_list")
    assert path.read_text(encoding="utf-8").split() == [
        "smolvm", "machine", "run", "-eA=***", f"({hidden})", "--", "-e", "B=c"
    ]  # fmt: skip


SECRETS = """
import tempfile, uuid

from fake_smolvm.harness.seen.masked import Masked

def test_secret(fake_smolvm, argv_snapshot, tmp_path):
    run = str(uuid.uuid4())
    fake_smolvm.name_value("RUN", run)
    assert argv_snapshot == [
        ["smolvm", "machine", "exec", "-e", "PROXY=http://right", "--", "env"],
        ["smolvm", "machine", "exec", "-e", f"WHERE={tmp_path}/x", "--", "env"],
        ["smolvm", "machine", "exec", "-e", f"RUN={run}", "--", "env"],
        ["smolvm", "machine", "exec", "-e", Masked("PROXY=***", "PROXY=http://right")],
        ["smolvm", "machine", "exec", "-e", Masked("RUN=***", f"RUN={run}")],
    ]
"""


def test_value_of_e_is_kept_as_a_digest_or_a_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SECRETS)
    pytester.runpytest("--snapshot-update").assert_outcomes(passed=1)
    (path,) = pytester.path.glob("__snapshots__/*/*")
    text = path.read_text(encoding="utf-8")
    assert "right" not in text
    right = digest("http://right", "test_it.py::test_secret")
    where = digest("<TESTS>/test_secret0/x", "test_it.py::test_secret")
    assert [line.strip() for line in text.splitlines() if "=" in line] == [
        f"PROXY=*** ({right})", f"WHERE=*** ({where})", "RUN=<RUN>", f"PROXY=*** ({right})",
        "RUN=<RUN>",
    ]  # fmt: skip
    pytester.runpytest().assert_outcomes(passed=1)
    for change in ('"PROXY=http://right", "--"', '"PROXY=http://right")'):
        changed = change.replace("right", "WRONG")
        pytester.makepyfile(test_it=SECRETS.replace(change, changed))
        result = pytester.runpytest()
        result.assert_outcomes(failed=1)
        result.stdout.no_fnmatch_line("*[+]*WRONG*")


MANY = """
import pytest

@pytest.mark.parametrize("p", ["a/b", "a:b", "ab", "A", "a", "x" * 300, {extra}])
def test_many(argv_snapshot, p):
    for index in range(2):
        assert argv_snapshot == [["smolvm", p, str(index)]]
    assert argv_snapshot(name="n/a") == [["smolvm", p, "named"]]
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_no_two_tests_share_a_snapshot_and_unused_ones_are_found(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(test_it=MANY.format(extra='"c/d"'))
    update = ("--snapshot-update", "-W", "error", *workers)
    pytester.runpytest(*update).assert_outcomes(passed=7)
    files = {path.name for path in pytester.path.glob("__snapshots__/test_it/*")}
    assert len({name.lower() for name in files}) == 21
    assert files > {"test_many[a].argv", "test_many[a].1.argv", "test_many[ab].argv"}
    pytester.runpytest(*workers).assert_outcomes(passed=7)

    pytester.makepyfile(test_it=MANY.format(extra=""))
    one = pytester.runpytest("test_it.py::test_many[ab]", *workers)
    one.assert_outcomes(passed=1)
    one.stdout.no_fnmatch_line("*snapshot* unused*")
    assert pytester.runpytest(*workers).ret == 1
    result = pytester.runpytest(*update)
    result.stdout.fnmatch_lines(["*3 unused snapshots deleted*"])
    left = {path.name for path in pytester.path.glob("__snapshots__/test_it/*")}
    assert left == {name for name in files if not name.startswith("test_many-c-d")}
    assert pytester.runpytest(*workers).ret == 0


def test_unknown_version(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nsmolvm_cli_versions = 0.8.0 7.7.7\n")
    result = project.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: ini smolvm_cli_versions: '7.7.7' is no smolvm version *"])


@pytest.mark.parametrize(
    ("line", "version", "said"),
    [
        ("machine create box", "0.8.0", ["accepted"]),
        ("machine create box", "1.4.0", ["refused: unexpected argument 'box' found"]),
        ("machine --help", "0.8.0", ["accepted"]),
        ("machine create --from p --net --allow-cidr 10.0.0.0/8", "0.8.0", ["the network is open"]),
        ("machine create --from p --allow-cidr 10.0.0.0/8", "1.4.0", ["no network at all"]),
        ("machine create --allow-cidr 10.0.0.0/8", "0.8.0", ["not enforced"]),
        ("machine create --allow-cidr 10.0.0.0/8", "1.4.0", ["accepted"]),
        ("machine create --from p -w /x --cpus 4", "0.8.0", ["-w and --gpu", "--cpus 4 reads as"]),
        ("machine create --from p --cpus 3", "0.8.0", ["accepted"]),
        ("machine create -e A --mem 8192 --from p", "0.8.0", ["--mem 8192 reads as", "(H8)"]),
        ("machine exec box -- true", "0.8.0", ["(H6)"]),
        ("machine exec -- true", "0.8.0", ["accepted"]),
        ("machine exec --name b -e =x -- sh -- y", "0.8.0", ["(H8)"]),
        ("machine cp a:b c:d", "0.8.0", ["(H10)"]),
    ],
)
def test_verdicts(line: str, version: str, said: list[str]) -> None:
    verdicts = verdict(line.split(), version)
    assert len(verdicts) == len(said)
    for text, part in zip(verdicts, said, strict=True):
        assert text.endswith(part) or (part in text and "another meaning" in text)
