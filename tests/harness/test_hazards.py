"""What the code under test walked into, and what it left behind, is held against it."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET

import pytest

WALK = """
import os, subprocess, time, pytest
{before}

{marker}
@pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
def test_walk(request, fixture, tmp_path):
    smolvm = request.getfixturevalue(fixture)
    def run(line, **options):
        return subprocess.run(["smolvm", *line.split()], capture_output=True, text=True, **options)
{body}
"""


def walk(pytester: pytest.Pytester, *body: str, marker: str = "", before: str = "") -> None:
    lines = "\n".join(f"    {line}" for line in body)
    pytester.makepyfile(test_it=WALK.format(body=lines, marker=marker, before=before))


PACK = 'run("pack create --image alpine -o p", cwd=tmp_path)'
FROM = 'run("machine create --from p.smolmachine --net --allow-cidr 10.0.0.0/8 box", cwd=tmp_path)'
CREATE = 'run("machine create box")'
START = 'run("machine start --name box")'
STOP = 'run("machine stop --name box")'
DELETE = 'run("machine delete -f box")'
SLOW = 'slow = {**smolvm.env, "FAKE_SMOLVM_BOOT_SECONDS": "0.4"}'
BEGIN = 'subprocess.Popen(["smolvm", "machine", "start", "--name", "box"], env=slow)'
BEGIN_OTHER = BEGIN.replace("box", "bax")
WAIT = ("[start.wait() for start in starting]",)
KILL = ("time.sleep(0.2); start.kill(); start.wait(); time.sleep(0.4)",)
OTHER = CREATE.replace("box", "bax")
BOTH_GONE = (STOP, DELETE, STOP.replace("box", "bax"), DELETE.replace("box", "bax"))
DOWNLOAD = '(tmp_path / "f").touch(); run("machine cp box:/missing f", cwd=tmp_path)'


@pytest.mark.parametrize(
    ("hazard", "body"),
    [
        ("H1", (CREATE, DELETE, PACK, FROM, DELETE)),
        ("H15", (CREATE, OTHER, SLOW, f"starting = [{BEGIN}, {BEGIN_OTHER}]", *WAIT, *BOTH_GONE)),
        ("H16", (CREATE, SLOW, f"start = {BEGIN}", *KILL, START, STOP, DELETE)),
        ("H3", (CREATE, START, DELETE)),
        ("H4", (CREATE, START, DOWNLOAD, STOP, DELETE)),
        ("leak", (CREATE,)),
    ],
)
def test_grave_ones_fail_unless_allowed(
    pytester: pytest.Pytester, hazard: str, body: tuple[str, ...]
) -> None:
    walk(pytester, *body)
    result = pytester.runpytest("-Walways")
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            f"*{hazard}: *",
            "*instead: *",
            f'*on purpose? @pytest.mark.smolvm_allows("{hazard}", reason=...)*',
            "*calls of smolvm:",
            "*ok  smolvm machine create b?x",
        ]
    )
    walk(pytester, *body, marker=f'@pytest.mark.smolvm_allows("{hazard}", reason="known")')
    pytester.runpytest("-Werror").assert_outcomes(passed=2)
    walk(pytester, *body)
    pytester.makeini(f"[pytest]\nsmolvm_allows =\n    {hazard}: known\n")
    pytester.runpytest("-Werror").assert_outcomes(passed=2)


def test_message_says_all_there_is_to_know(pytester: pytest.Pytester) -> None:
    walk(pytester, CREATE, START, DELETE)
    pytester.runpytest().stdout.fnmatch_lines(
        [
            "H3: delete of a running machine",
            "  called:  machine delete (machine box)",
            "  here:    process * is left behind, running",
            "  0.8.0:   record and data go, the VM process stays and runs on",
            "  since 0.2.0, until 0.8.1",
            "  instead: stop the machine, then delete it",
        ]
    )


def test_orphan_of_h3_counts_once(pytester: pytest.Pytester) -> None:
    walk(pytester, CREATE, START, DELETE)
    pytester.runpytest().stdout.no_fnmatch_line("leak: *")


def test_leak_names_the_argv_that_made_it(pytester: pytest.Pytester) -> None:
    walk(pytester, CREATE, START, 'run("machine create -e K=hunter22 bax")')
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(
        [
            "leak: machine 'box' is still there, running; made by",
            "*smolvm machine create box",
            "leak: machine 'bax' is still there, created; made by",
            "*smolvm machine create -e 'K=[*][*][*]' bax",
        ]
    )
    result.stdout.no_fnmatch_line("*hunter22*")


def test_minor_ones_warn(pytester: pytest.Pytester) -> None:
    walk(pytester, 'run("machine stop --name typo")')
    result = pytester.runpytest("-Wdefault")
    result.assert_outcomes(passed=2, warnings=2)
    result.stdout.fnmatch_lines(["*SmolvmHazardWarning: H5: stop of an unknown machine succeeds"])
    # Python shows where: the test.
    result.stdout.fnmatch_lines(["test_it.py::test_walk*", "*test_it.py:*: SmolvmHazardWarning: *"])


@pytest.mark.parametrize(
    "how",
    [
        ["-Werror"],
        ["-Werror::UserWarning"],
        ["-Werror::fake_smolvm.SmolvmHazardWarning"],
    ],
)
def test_minor_ones_fail_where_warnings_are_errors(
    pytester: pytest.Pytester, how: list[str]
) -> None:
    walk(pytester, 'run("machine stop --name typo")')
    result = pytester.runpytest_subprocess(*how)
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "H5: stop of an unknown machine succeeds",
            "  called:  machine stop (machine typo)",
            'on purpose? @pytest.mark.smolvm_allows("H5", reason=...)',
            "calls of smolvm:",
            "*smolvm machine stop --name typo",
        ]
    )
    result.stdout.no_fnmatch_line("*verdict.py*")
    result.stdout.no_fnmatch_line("E   *")


@pytest.mark.parametrize("filters", [["-We"], []])
def test_minor_ones_without_the_warnings_of_pytest(
    pytester: pytest.Pytester, filters: list[str]
) -> None:
    walk(pytester, 'run("machine stop --name typo")')
    run = [sys.executable, *filters, "-m", "pytest", "-p", "no:warnings"]
    result = pytester.run(*run)
    result.assert_outcomes(passed=2, errors=2 if filters else 0)
    result.stdout.no_fnmatch_line("*verdict.py*")


def test_a_failed_test_is_not_failed_again_by_a_warning(pytester: pytest.Pytester) -> None:
    walk(pytester, 'run("machine stop --name typo")', "assert False, 'mine'")
    pytester.runpytest("-Werror").assert_outcomes(failed=2)


def test_junit_tells_the_timeline(pytester: pytest.Pytester) -> None:
    walk(pytester, 'run("machine create -e K=hunter22 box")', "assert False")
    pytester.runpytest("--junitxml=junit.xml").assert_outcomes(failed=2)
    xml = ET.parse(pytester.path / "junit.xml")  # noqa: S314  our own
    found = xml.findall(".//testcase/properties/property[@name='smolvm calls']")
    assert len(found) == 2
    for one in found:
        assert "ok  smolvm machine create -e 'K=***' box" in one.attrib["value"]


def test_a_failed_test_is_told_about_its_failure_only(pytester: pytest.Pytester) -> None:
    walk(pytester, CREATE, START, "run('machine start --name bax')", "assert False, 'mine'")
    result = pytester.runpytest()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*mine*",
            "*smolvm calls*",
            "*ok  smolvm machine create box",
            "*ok  smolvm machine start --name box",
            "*exit 1  smolvm machine start --name bax",
            "*Error: vm not found: bax",
        ]
    )
    result.stdout.no_fnmatch_line("leak: *")


@pytest.mark.parametrize("marker", ['"H3"', 'reason="x"', '"H3", reason=""'])
def test_allowance_needs_a_hazard_and_a_reason(pytester: pytest.Pytester, marker: str) -> None:
    walk(pytester, "pass", marker=f"@pytest.mark.smolvm_allows({marker})")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *smolvm_allows takes hazards and a reason*"])


def test_allowance_of_a_suite_needs_a_reason(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nsmolvm_allows =\n    H3\n")
    walk(pytester, "pass")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: ini smolvm_allows: 'H3' is not of the form*"])


def test_a_crash_of_the_fake_is_no_answer(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import fake_smolvm.commands.machine_ls as machine_ls

        def test_crash(fake_smolvm, monkeypatch):
            monkeypatch.setattr(machine_ls, "run", lambda matches, host: 1 / 0)
            done = fake_smolvm.run("machine", "ls")
            assert done.returncode == 1
            assert "ZeroDivisionError" in done.stderr

        def test_crash_out_of_process(smolvm):
            code = "import fake_smolvm.commands.machine_ls as ls; del ls.run"
            entry = smolvm.binary.read_text()
            smolvm.binary.write_text(entry.replace("sys.exit(", code + "\\nsys.exit("))
            assert "AttributeError" in smolvm.run("machine", "ls").stderr
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["the fake itself failed:"] * 2)


def test_machines_are_torn_down(pytester: pytest.Pytester) -> None:
    walk(
        pytester,
        CREATE,
        START,
        'if fixture == "smolvm": PIDS.append(smolvm.machine("box").status["pid"])',
        "FOLDERS.append(smolvm.home.parent)",
        marker='@pytest.mark.smolvm_allows("leak", reason="that is the point")',
        before="PIDS, FOLDERS = [], []",
    )
    with (pytester.path / "test_it.py").open("a", encoding="utf-8") as file:
        file.write(
            "\ndef test_gone():\n"
            "    assert not any(folder.exists() for folder in FOLDERS) and len(FOLDERS) == 2\n"
            "    with pytest.raises(ProcessLookupError):\n"
            "        os.kill(PIDS[0], 0)\n"
        )
    pytester.runpytest().assert_outcomes(passed=3)
