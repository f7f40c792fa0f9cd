"""What a test sets up and nothing ever meets fails it: it may well prove nothing."""

from __future__ import annotations

import pytest

TEST = """
import pytest
{marker}
@pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
def test_it(request, fixture, tmp_path):
    smolvm = request.getfixturevalue(fixture)
    def run(line, **options):
        return smolvm.run(*line.split(), **options)
    {body}
"""

BOX = 'run("machine create --net box"); run("machine start --name box"); '
GONE = '; run("machine stop --name box"); run("machine delete -f box")'
HOST = 'smolvm.outside_host("a.example", "192.0.2.7")'
EXEC = 'run("machine exec --name box -- {}")'


def write(pytester: pytest.Pytester, body: str, marker: str = "") -> None:
    pytester.makepyfile(test_it=TEST.format(body=body, marker=marker))


@pytest.mark.parametrize(
    ("setup", "said", "met"),
    [
        ('smolvm.fault("machine start", machine="box")', None, "machine start --name box"),
        ('smolvm.fault("machine ls", rc=3, skip=1)', 'fault("machine ls", skip=1)', None),
        ('smolvm.fault("vm list", times=2)', 'fault("vm list", times=2)', "machine ls"),
        ('smolvm.fault("machine")', None, "machine ls"),
        ('smolvm.delay(0, "config show")', 'delay("config show")', "config show"),
        ("smolvm.disk_full()", None, "machine cp x box:/x"),
        ('smolvm.kill_machine("box")', 'kill_machine(machine="box", times=1)', None),
        ("smolvm.kvm_missing()", 'scenario("no-kvm")', "machine ls"),
        ('smolvm.scenario("start-race")', None, "machine start --name box"),
        ('smolvm.guest_command("make", "all")', None, None),
        ('smolvm.guest_command(prefix=["make"])', None, None),
        ("smolvm.guest_command(call=print)", "guest_command(call=print)", None),
        ('smolvm.outside_answer("http://a.example/*")', None, None),
    ],
)
def test_what_nothing_met(
    pytester: pytest.Pytester, setup: str, said: str | None, met: str | None
) -> None:
    said = said or setup.removeprefix("smolvm.").replace("disk_full()", 'disk_full("machine cp")')
    write(pytester, f'{setup}; run("pack ls")')
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "set up, but nothing ever met it:",
            f"  {said}".replace("[", "[[]").replace('"', "[\"']"),
            '*on purpose? @pytest.mark.smolvm_allows("unused", reason=...)',
            "calls of smolvm:",
            "*smolvm pack ls",
        ]
    )
    if met is not None:
        write(pytester, f'{setup}; run("{met}")')
        pytester.runpytest().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("setup", "call"),
    [
        ('smolvm.guest_command("make", "all", stdout="x")', EXEC.format("make all")),
        ('smolvm.guest_command(prefix=["make"])', EXEC.format("make all")),
        ("smolvm.guest_command(call=lambda *_: (0, b'', b''))", EXEC.format("make")),
        ('smolvm.kill_machine("box")', EXEC.format("true")),
        (
            f'{HOST}; smolvm.outside_answer("http://a.example/*", body="hello")',
            f'assert {EXEC.format("wget -qO- http://a.example/x")}.stdout == "hello"',
        ),
    ],
)
def test_what_a_guest_met(pytester: pytest.Pytester, setup: str, call: str) -> None:
    write(pytester, f"{setup}; {BOX}{call}{GONE}")
    pytester.runpytest().assert_outcomes(passed=2)


@pytest.mark.parametrize("where", ["marker", "ini"])
def test_on_purpose(pytester: pytest.Pytester, where: str) -> None:
    marker = '@pytest.mark.smolvm_allows("unused", reason="a world for many tests")'
    write(pytester, 'smolvm.fault("machine ls")', marker if where == "marker" else "")
    if where == "ini":
        pytester.makeini("[pytest]\nsmolvm_allows = unused: a world for many tests\n")
    pytester.runpytest().assert_outcomes(passed=2)


@pytest.mark.parametrize("how", ["assert False", "pytest.skip()", "pytest.xfail()"])
def test_only_a_test_that_passes_is_held_to_it(pytester: pytest.Pytester, how: str) -> None:
    write(pytester, f'smolvm.fault("machine ls"); {how}')
    pytester.runpytest().stdout.no_fnmatch_line("*set up, but nothing ever met it*")


def test_every_line_of_a_file_of_ones_own(pytester: pytest.Pytester) -> None:
    (pytester.path / "s.toml").write_text(
        """
        [[fault]]
        command = "machine ls"
        exit = 3
        stdout = '{"is": "JSON"}'
        [[fault]]
        command = "machine start"
        exit = 3
        [[guest]]
        command = ["make"]
        stdout = "made"
        """,
        encoding="utf-8",
    )
    path = f"{pytester.path}/s.toml"
    write(pytester, f'smolvm.scenario("{path}"); assert "JSON" in run("machine ls").stdout')
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, errors=2)
    lines = ["[[fault]] 2, machine start", "[[guest]] ['make']"]
    text = "\n".join(f"  scenario('{path}'): {line}" for line in lines)
    assert f"set up, but nothing ever met it:\n{text}\n\n" in str(result.stdout)
    made = f"assert {EXEC.format('make')}.stdout == 'made'"
    calls = f'run("machine start --name none"); {made}; run("machine ls")'
    start = f'run("machine create box"); run("machine start --name box"); smolvm.scenario("{path}")'
    write(pytester, f"{start}; {calls}{GONE}")
    pytester.runpytest().assert_outcomes(passed=2)


def test_met_wherever_the_home_is(pytester: pytest.Pytester) -> None:
    call = 'run("machine ls", env={**smolvm.env, "HOME": str(tmp_path)})'
    write(pytester, f'smolvm.fault("machine ls"); assert {call}.returncode == 1')
    pytester.runpytest().assert_outcomes(passed=2)


def test_what_a_killed_command_might_have_met(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import subprocess, time, pytest

        @pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
        def test_it(request, fixture):
            smolvm = request.getfixturevalue(fixture)
            smolvm.delay(60, "config")
            smolvm.fault("config show")
            process = subprocess.Popen(["smolvm", "config", "show"])
            while not smolvm.calls:
                time.sleep(0.01)
            process.kill()
            process.wait()
        """
    )
    pytester.runpytest().assert_outcomes(passed=2)


@pytest.mark.parametrize("name", ["H3", "leak", "H5"])
def test_an_allowance_that_nothing_needed(pytester: pytest.Pytester, name: str) -> None:
    marker = f'@pytest.mark.smolvm_allows("{name}", reason="who knows")'
    write(pytester, 'run("machine ls")', marker)
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            f"test_it.py::test_it allows '{name}' (who knows), and nothing needed it",
            '*on purpose? @pytest.mark.smolvm_allows("unused", reason=...)',
            "calls of smolvm:",
            "*smolvm machine ls",
        ]
    )
    pytester.makeini("[pytest]\nsmolvm_allows = unused: all is fine\n")
    pytester.runpytest().assert_outcomes(passed=2)


GROUP = """
import pytest
{module}
{cls}
class TestIt:
    @pytest.mark.parametrize("number", [1, 2])
    {function}
    def test_it(self, smolvm, number):
        if {condition}:
            smolvm.run("machine", "create", "box")

    def test_other(self): pass

def test_outside(smolvm): pass
"""


@pytest.mark.parametrize("where", ["module", "cls", "function"])
@pytest.mark.parametrize("order", ["", "reversed"])
def test_an_allowance_is_for_all_that_it_stands_on(
    pytester: pytest.Pytester, where: str, order: str
) -> None:
    if order:
        pytester.makeconftest("def pytest_collection_modifyitems(items): items.reverse()")
    mark = 'pytest.mark.smolvm_allows("leak", reason="x")'
    places = {"module": "", "cls": "", "function": ""}
    places[where] = f"pytestmark = {mark}" if where == "module" else f"@{mark}"
    pytester.makepyfile(test_it=GROUP.format(condition="number == 1", **places))
    pytester.runpytest().assert_outcomes(passed=4)
    pytester.runpytest("-n2").assert_outcomes(passed=4)
    pytester.makepyfile(test_it=GROUP.format(condition="False", **places))
    result = pytester.runpytest()
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["test_it.py* allows 'leak' (x), and nothing needed it"])
    # Nobody knows what those need that are left out, skipped, or on something real.
    pytester.runpytest("-k", "2").assert_outcomes(passed=1, deselected=3)
    pytester.makepyfile(test_it=GROUP.format(condition="pytest.skip()", **places))
    pytester.runpytest().assert_outcomes(passed=2, skipped=2)


def test_an_allowance_of_what_a_version_has_not(pytester: pytest.Pytester) -> None:
    write(pytester, 'run("machine ls")', '@pytest.mark.smolvm_allows("H5", reason="0.8.0")')
    pytester.runpytest("--smolvm-cli=1.4.0").assert_outcomes(passed=2)


def test_an_allowance_of_a_base_class_is_for_all_that_inherit_it(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.smolvm_allows("leak", reason="x")
        class Base:
            def test_it(self, fake_smolvm):
                if type(self) is TestOne:
                    fake_smolvm.run("machine", "create", "a")

        class TestOne(Base): pass
        class TestTwo(Base): pass
        """
    )
    pytester.runpytest().assert_outcomes(passed=2)


def test_markers_that_a_hook_adds_are_not_judged(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.smolvm("fake"))
                item.add_marker(pytest.mark.smolvm_allows("leak", reason="x"))
        """
    )
    pytester.makepyfile("def test_one(fake_smolvm): pass\ndef test_two(): pass")
    pytester.runpytest().assert_outcomes(passed=2)


def test_a_rerun_is_judged_whatever_became_of_the_first_attempt(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import itertools, pytest

        number = itertools.count()

        @pytest.mark.smolvm_allows("leak", reason="x")
        def test_it(fake_smolvm):
            assert next(number)
        """
    )
    result = pytester.runpytest("--reruns=1")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*test_it allows 'leak' (x), and nothing needed it"])
