"""A smolvm for more than one test: a class, a module, a session, a block of code."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import fake_smolvm

if TYPE_CHECKING:
    from pathlib import Path

SCOPES = ["class", "module", "session"]


@pytest.mark.parametrize("scope", SCOPES)
def test_the_same_for_all_and_judged_at_its_end(pytester: pytest.Pytester, scope: str) -> None:
    pytester.makepyfile(
        f"""
        import subprocess, pytest

        @pytest.fixture(scope="{scope}")
        def box(smolvm_{scope}):
            smolvm_{scope}.run("machine", "create", "box", check=True)
            return smolvm_{scope}

        class TestIt:
            def test_one(self, box):
                subprocess.run(["smolvm", "machine", "start", "--name", "box"], check=True)
                assert box.machine("box").state == "running"

            def test_two(self, box, smolvm):
                assert smolvm is box
                assert [call.command for call in box.calls] == ["machine create", "machine start"]
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of TestIt.test_two*",
            "leak: machine 'box' is still there, running; made by",
            "on purpose? *smolvm_allows*leak*",
            "calls of smolvm:",
            "*smolvm machine start --name box",
        ]
    )


@pytest.mark.parametrize(
    ("fixture", "before", "ini"),
    [
        ("smolvm_class", '@pytest.mark.smolvm_allows("leak", reason="x")', ""),
        ("smolvm_module", 'pytestmark = pytest.mark.smolvm_allows("leak", reason="x")', ""),
        ("smolvm_session", "", "smolvm_allows = leak: x"),
    ],
)
def test_what_is_allowed_to_it(
    pytester: pytest.Pytester, fixture: str, before: str, ini: str
) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    body = f"def test_it(self, {fixture}): {fixture}.run('machine', 'create', 'box', check=True)"
    pytester.makepyfile(f"import pytest\n{before}\nclass TestIt:\n    {body}\n")
    pytester.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize("scope", SCOPES)
def test_what_nothing_met(pytester: pytest.Pytester, scope: str) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.fixture(scope="{scope}", autouse=True)
        def broken(smolvm_{scope}):
            smolvm_{scope}.fault("machine ls")
            smolvm_{scope}.fault("machine start")

        class TestIt:
            def test_one(self, smolvm): pass
            def test_two(self, smolvm): smolvm.run("machine", "ls")
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["set up, but nothing ever met it:", "  fault('machine start')"])
    result.stdout.no_fnmatch_line("*fault('machine ls')*")
    # Whether a test that is left out would have met it, nobody knows.
    for part in (["-k", "one"], ["test_what_nothing_met.py::TestIt::test_one"], ["-n2"]):
        pytester.runpytest(*part).stdout.no_fnmatch_line("*nothing ever met it*")


def test_the_attempt_that_counts_is_judged(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import itertools
        attempts = itertools.count()

        def test_one(smolvm_module):
            smolvm_module.run("machine", "create", f"box{next(attempts)}")
            assert "box1" in smolvm_module.machines

        def test_two(smolvm_module): pass
        """
    )
    result = pytester.runpytest("--reruns=1", "--only-rerun=AssertionError")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["leak: machine 'box1' is still there, created; made by"])


def test_stays_where_it_is(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_one(monkeypatch, request):
            monkeypatch.setenv("PATH", "/bin:/usr/bin")
            monkeypatch.setenv("HOME", "/")
            request.getfixturevalue("smolvm_module")

        def test_two(smolvm_module):
            assert smolvm_module.run("machine", "ls").returncode == 0
            smolvm_module.calls.assert_called_once()
            assert smolvm_module.env["HOME"] == str(smolvm_module.home)
        """
    )
    pytester.runpytest().assert_outcomes(passed=2)


def test_a_failed_test_shows_its_own_calls(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_one(smolvm_module):
            smolvm_module.run("machine", "create", "box")

        def test_two(smolvm_module):
            smolvm_module.run("machine", "ls")
            assert False
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*- smolvm calls -*", "*smolvm machine ls"])
    # A module with a failed test cannot have cleaned up.
    result.stdout.no_fnmatch_line("*smolvm machine create box*")


@pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
@pytest.mark.parametrize("scope", [*SCOPES, "package"])
def test_one_that_does_not_live_that_long(
    pytester: pytest.Pytester, fixture: str, scope: str
) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.fixture(scope="{scope}")
        def box({fixture}): pass

        def test_it(box): pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    wider = f"smolvm_{'session' if scope == 'package' else scope}"
    said = f"`{fixture}` does not live that long: ask for `{wider}`, *"
    result.stdout.fnmatch_lines(["ScopeMismatch: *", said])


TOO_EARLY = {
    "setUpClass": (
        """
@pytest.mark.usefixtures("smolvm")
class Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls): start()
    def test_it(self): pass
""",
        "Test.setUpClass started smolvm before *enterClassContext(fake_smolvm.sandbox())` there",
    ),
    "setup_class": (
        """
class Test:
    @classmethod
    def setup_class(cls): start()
    def test_it(self, smolvm): pass
""",
        "setup_class of Test started smolvm before *scope 'class' that asks for `smolvm_class`",
    ),
    "setup_module": (
        """
def setup_module(): start()
def test_it(fake_smolvm): pass
""",
        "setup_module of *started smolvm before *that asks for `smolvm_module`",
    ),
    "setUpModule": (
        """
def setUpModule(): start()
@pytest.mark.usefixtures("smolvm")
class Test(unittest.TestCase):
    def test_it(self): pass
""",
        "setup_module of *started smolvm before *that asks for `smolvm_module`",
    ),
    "setup_method": (
        """
class Test:
    def setup_method(self): start()
    def test_it(self, smolvm): pass
""",
        "setup_method of Test started smolvm before *that asks for `smolvm`",
    ),
    "fixture of one test": (
        """
@pytest.fixture(autouse=True)
def server(): start()
def test_it(fake_smolvm): pass
""",
        "the fixture `server` started smolvm before *: let it ask for `smolvm`",
    ),
    "fixture": (
        """
@pytest.fixture(scope="session")
def server(): start()
def test_it(server, smolvm): pass
""",
        "the fixture `server` started smolvm before *: let it ask for `smolvm_session`",
    ),
}


@pytest.mark.parametrize("how", TOO_EARLY)
@pytest.mark.parametrize("check", ["check=True", "capture_output=True", "shell=True"])
def test_what_is_set_up_too_early_never_meets_another_smolvm(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, stand_in: Path, how: str, check: str
) -> None:
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=":")
    monkeypatch.setenv("HOME", str(pytester.path))
    body, said = TOO_EARLY[how]
    line = '"smolvm machine create box"' if "shell" in check else '["smolvm", "machine", "ls"]'
    start = f"def start(): subprocess.run({line}, {check})"
    pytester.makepyfile(f"import subprocess, unittest, pytest\n{start}\n{body}")
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*Created machine*")


TOO_LATE = {
    "tearDownClass": """
@pytest.mark.usefixtures("smolvm")
class Test(unittest.TestCase):
    def test_it(self): pass
    @classmethod
    def tearDownClass(cls): start()
""",
    "teardown_method": """
class Test:
    def test_it(self, smolvm): pass
    def teardown_method(self): start()
""",
    "teardown_module": """
def teardown_module(): start()
def test_it(smolvm): smolvm.run("machine", "ls", "--json")
""",
    "fixture": """
@pytest.fixture
def box():
    yield
    start()

def test_it(box, fake_smolvm): pass
""",
}


@pytest.mark.parametrize("how", TOO_LATE)
def test_what_is_torn_down_too_late_never_meets_another_smolvm(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, stand_in: Path, how: str
) -> None:
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=":")
    start = 'def start(): subprocess.run(["smolvm", "machine", "create", "box"])'
    pytester.makepyfile(f"import subprocess, unittest, pytest\n{start}\n{TOO_LATE[how]}")
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["what is torn down after this test's smolvm *: let it ask for *"])
    result.stdout.no_fnmatch_line("*Created machine*")
    record = ["--smolvm=real", "--smolvm-record=rewrite"]
    pytester.runpytest(*record).assert_outcomes(passed=1, errors=1)
    assert not (pytester.path / "cassettes").exists()


def test_what_is_set_up_early_and_starts_no_smolvm(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pytest
        before = os.environ["PATH"]

        @pytest.fixture(scope="module")
        def tools():
            os.environ["PATH"] += ":/tools"
            yield

        @pytest.fixture(scope="module")
        def broken():
            raise ValueError("mine")

        def test_it(tools, smolvm):
            assert os.environ["PATH"] == f"{smolvm.binary.parent}:{before}:/tools"

        def test_own_error(broken, smolvm): pass

        @pytest.fixture(scope="module")
        def patched():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PATH", "/more", prepend=":")
                yield

        def test_patched(patched, smolvm): pass

        """
    )
    pytester.makepyfile(
        test_zz_last="""
        import os
        before = os.environ["PATH"]

        def test_after():
            assert os.environ["PATH"] == f"{before}:/tools"
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["E       ValueError: mine"])
    result.stdout.no_fnmatch_line("*harness*plugin.py*")


UNITTEST = """
import subprocess, unittest
from fake_smolvm import sandbox

class Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.smolvm = cls.enterClassContext(sandbox({arguments}))
        subprocess.run(["smolvm", "machine", "create", "box"], check=True)

    def test_it(self):
        self.assertIn("box", self.smolvm.machines)
        print("mode", self.smolvm.mode)

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["smolvm", "machine", "{end}", "-f", "box"], check={end!r} == "delete")
"""


@pytest.mark.parametrize("runner", [["pytest"], ["unittest"]])
def test_a_class_of_unittest(pytester: pytest.Pytester, runner: list[str]) -> None:
    path = pytester.makepyfile(test_it=UNITTEST.format(arguments="", end="delete"))
    run = [sys.executable, "-m", *runner, path.name]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pytester.makepyfile(test_it=UNITTEST.format(arguments="", end="rm --no"))
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "SandboxError: leak: machine 'box' is still there, created; made by" in said
    assert "on purpose? sandbox(allows={'leak': ...})" in said
    arguments = 'allows={"leak": "the point of it"}'
    pytester.makepyfile(test_it=UNITTEST.format(arguments=arguments, end="rm --no"))
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_block_is_what_the_run_is(pytester: pytest.Pytester, stand_in: Path) -> None:
    pytester.makepyfile(
        """
        import pytest
        from fake_smolvm import sandbox

        def test_as_the_run():
            with sandbox() as smolvm:
                assert (smolvm.mode, smolvm.version) == ("real", "0.8.0")
                smolvm.run("machine", "create", "box")
                smolvm.calls.assert_called_once()

        def test_as_it_says():
            with sandbox("fake", cli="1.4.0") as smolvm:
                assert (smolvm.mode, smolvm.version) == ("fake", "1.4.0")

        @pytest.mark.smolvm("fake")
        class TestMarked:
            @pytest.fixture(scope="class")
            def block(self):
                with sandbox() as smolvm:
                    yield smolvm

            def test_it(self, block, smolvm):
                assert block.mode == "fake"
                assert smolvm is block

        def test_others():
            for wrong in ({"mode": "reel"}, {"mode": "replay"}, {"cli": "9"}, {"home": "x"},
                          {"allows": {"H99": "x"}}, {"allows": {"H3": ""}},
                          {"mode": "fake", "binary": "/x"}, {"mode": "real", "binary": "/x"}):
                said = "There are|reason|mode='real'|executable|0.8.0"
                with pytest.raises(ValueError, match=said):
                    with sandbox(**wrong):
                        pass
        """
    )
    real = ("--smolvm=real", f"--smolvm-binary={stand_in}")
    pytester.runpytest(*real).assert_outcomes(passed=4)


@pytest.mark.parametrize("args", [["--smolvm=replay"], ["--smolvm-record=rewrite"]])
def test_no_cassette_of_many_tests(
    pytester: pytest.Pytester, stand_in: Path, args: list[str]
) -> None:
    pytester.makepyfile(
        """
        from fake_smolvm import sandbox
        def test_it(smolvm_module): pass
        def test_block():
            with sandbox(): pass
        """
    )
    if "record" in args[0]:
        args += ["--smolvm=real", f"--smolvm-binary={stand_in}"]
    result = pytester.runpytest(*args)
    result.assert_outcomes(errors=1, failed=1)
    said = ["*`smolvm_module` may live longer than one test, and cannot be re*", "*sandbox() may*"]
    result.stdout.fnmatch_lines(said)


def test_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, subprocess\n"
        "from fake_smolvm import sandbox\n"
        "home = os.environ['HOME']\n"
        "with sandbox() as smolvm:\n"
        "    subprocess.run(['smolvm', 'machine', 'create', 'box'], check=True)\n"
        "    assert os.environ['HOME'] == str(smolvm.home) != home\n"
        "    smolvm.run('machine', 'delete', '-f', 'box')\n"
        "assert os.environ['HOME'] == home\n"
        "print(os.path.exists(smolvm.binary), smolvm.version)\n",
        encoding="utf-8",
    )
    monkeypatch.delenv("FAKE_SMOLVM_VERSION", raising=False)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("True 0.8.0\n"), done.stderr
    monkeypatch.setenv("FAKE_SMOLVM_VERSION", "9.9.9")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("ValueError: $FAKE_SMOLVM_VERSION: '9.9.9' is")


def test_what_a_block_raises_is_what_matters() -> None:
    def use(*errors: Exception) -> None:
        with fake_smolvm.sandbox("fake") as smolvm:
            smolvm.fault("machine start")
            for error in errors:
                raise error

    with pytest.raises(ZeroDivisionError):
        use(ZeroDivisionError())
    with pytest.raises(fake_smolvm.SandboxError, match=r"(?s)fault.'machine start'.*calls of smol"):
        use()


def test_a_block_that_is_never_left(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from fake_smolvm import sandbox

        def setup_module():
            global block
            block = sandbox()
            block.__enter__()

        def test_it(): pass
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == 1
    result.stderr.fnmatch_lines(["*a fake_smolvm.sandbox() was never left: *"])


def test_a_warning_of_a_block_is_shown_where_it_is(recwarn: pytest.WarningsRecorder) -> None:
    with (
        pytest.warns(fake_smolvm.SmolvmHazardWarning, match="H5") as seen,
        fake_smolvm.sandbox("fake") as smolvm,
    ):
        smolvm.run("machine", "stop", "--name", "nobody")
    assert seen[0].filename == __file__
    assert not recwarn


KEPT = """
import multiprocessing, functools, shutil, subprocess, os, pytest

@functools.cache
def smolvm_path():
    return shutil.which("smolvm")

def create(name):
    return subprocess.run([smolvm_path(), "machine", "create", name]).returncode

@pytest.fixture(scope="module")
def pool():
    with multiprocessing.get_context("{method}").Pool(1) as pool:
        yield pool

@pytest.mark.smolvm_allows("leak", reason="not what this is about")
@pytest.mark.parametrize("number", range(3))
def test_it(pool, number, {fixture}):
    assert {fixture}.machines == {{}}
    assert create(f"box{{number}}") == 0
    assert pool.map(create, ["one", "two"]) == [0, 0]
    assert set({fixture}.machines) == {{f"box{{number}}", "one", "two"}}
    assert len({fixture}.calls) == 3
"""


@pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_is_kept_from_one_test_to_the_next(
    pytester: pytest.Pytester, method: str, fixture: str
) -> None:
    body = KEPT.format(method=method, fixture=fixture)
    # Started within the first test, so that its environment is that of the first test.
    body = body.replace("    with multi", "    request.getfixturevalue('warm')\n    with multi")
    pytester.makepyfile(test_kept=body.replace("    request.getfixturevalue('warm')\n", ""))
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


LAZY = """
import multiprocessing, pytest
from test_kept import create
pools = []

@pytest.mark.smolvm_allows("leak", reason="not what this is about")
@pytest.mark.parametrize("number", range(3))
def test_it(number, {fixture}):
    if not pools:
        pools.append(multiprocessing.get_context("{method}").Pool(1))
    assert pools[0].map(create, ["one", "two"]) == [0, 0]
    assert set({fixture}.machines) == {{"one", "two"}}
    assert len({fixture}.calls) == 2

def test_end():
    assert pools[0].map(create, ["three"]) == [70]
    pools[0].terminate()
"""


@pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_worker_that_was_started_in_the_first_test(
    pytester: pytest.Pytester, method: str, fixture: str
) -> None:
    pytester.makepyfile(
        test_kept=KEPT.partition("@pytest.fixture")[0],
        test_lazy=LAZY.format(method=method, fixture=fixture),
    )
    pytester.runpytest_subprocess("test_lazy.py").assert_outcomes(passed=4)


def test_no_folder_is_left(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(pytester.mkdir("tmp")))
    pytester.makepyfile("def test_it(smolvm): pass\ndef test_in_process(fake_smolvm): pass")
    for workers in ([], ["-n2"]):
        pytester.runpytest_subprocess("--basetemp=base", *workers).assert_outcomes(passed=2)
        assert list((pytester.path / "tmp").glob("smolvm-*")) == []
