from __future__ import annotations

import os
import re
import stat
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
import pytest

@pytest.mark.parametrize("fixture", ["smolvm", "fake_smolvm"])
@pytest.mark.smolvm_allows("H3", reason="to be seen")
def test_good(request, fixture):
    smolvm = request.getfixturevalue(fixture)
    for name in ("box", "b<x>"):
        smolvm.run("machine", "create", name, "-e", "TOKEN=hunter22")
    smolvm.fault("machine stop", rc=3)
    smolvm.run("machine", "stop", "--name", "box")
    smolvm.run("machine", "start", "--name", "box")
    smolvm.run("machine", "delete", "-f", "box")

def test_bad(smolvm):
    smolvm.run("machine", "create", "left")
    assert 1 == 2, "the <reason>"

def test_without(): pass
"""
OLDER = "<title>smolvm: an older one</title>"
FAILS = "def test_fails(fake_smolvm): assert 1 == 2, 'to be seen'\n"


class Reader(HTMLParser):
    """What a page holds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if data.strip() and self.lasttag != "style":
            self.text.append(data.strip())

    def tags(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.seen if name == tag]

    def classes(self, name: str) -> list[dict[str, str]]:
        return [attrs for _, attrs in self.seen if name in attrs.get("class", "").split()]

    @property
    def tests(self) -> dict[str, str]:
        """The outcome of each test, in the order of the page."""
        headings = re.findall(
            r'<h2 id="t\d+-name">(.*?)</h2>\n<p><span class="verdict [\w-]+">. (.*?)</span>',
            self.source,
        )
        return dict(headings)


@pytest.fixture
def report(pytester: pytest.Pytester) -> Path:
    return pytester.path / "report.html"


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_one_page_for_the_run(pytester: pytest.Pytester, report: Path, workers: list[str]) -> None:
    pytester.makepyfile(test_it=SOURCE)
    pytester.runpytest("--smolvm-report=report.html", *workers).assert_outcomes(passed=3, failed=1)
    page = Reader(report)
    assert page.tests == {
        "test_it.py::test_bad": "failed",
        "test_it.py::test_good[fake_smolvm]": "passed",
        "test_it.py::test_good[smolvm]": "passed",
    }
    assert next(iter(page.tests)) == "test_it.py::test_bad", "failures first"
    names = [text for text in page.text if text in ("box", "b<x>", "left")]
    assert names == ["left", "box", "b<x>", "box", "b<x>"]
    bars = [attrs for attrs in page.classes("bar") if "sample" not in attrs["class"]]
    assert len(bars) == 1 + 5 + 5
    assert sum("bad" in attrs["class"].split() for attrs in bars) == 2 + 2
    marks = [
        attrs["title"]
        for kind in ("hazard", "fault")
        for attrs in page.classes(f"mark-{kind}")
        if "title" in attrs
    ]
    assert [mark.partition(":")[0] for mark in marks] == ["H3"] * 2 + ["machine stop"] * 2
    assert "▲ leak" in page.text
    assert any("1 other did not use smolvm: 1 passed" in text for text in page.text)
    assert "AssertionError: the <reason>" in page.text


def test_page_stands_alone_and_keeps_secrets(pytester: pytest.Pytester, report: Path) -> None:
    pytester.makepyfile(test_it=SOURCE)
    pytester.runpytest("--smolvm-report=report.html")
    page = Reader(report)
    assert "hunter22" not in page.source
    assert "b<x>" not in page.source
    tags = {tag for tag, _ in page.seen}
    assert tags.isdisjoint({"script", "link", "img", "iframe"})
    assert "http" not in page.source


def test_index_leads_to_every_test_and_the_switches_to_some(
    pytester: pytest.Pytester, report: Path
) -> None:
    pytester.makepyfile(test_it=SOURCE)
    pytester.runpytest("--smolvm-report=report.html")
    page = Reader(report)
    targets = [attrs["id"] for attrs in page.tags("section")]
    assert [attrs["href"] for attrs in page.tags("a")] == [f"#{target}" for target in targets]
    assert len(set(targets)) == 3
    switches = [attrs["id"] for attrs in page.tags("input")]
    assert switches == ["show-all", "show-bad", "show-good", "show-hazard", "show-fault"]
    for kind in switches[1:]:
        assert f"body:has(#{kind}:checked)" in page.source
    assert {attrs["scope"] for attrs in page.tags("th")} == {"col", "row"}


def test_every_outcome_has_its_word(pytester: pytest.Pytester, report: Path) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest
        @pytest.fixture
        def broken(): raise RuntimeError("no setup")
        def test_fails(smolvm): assert False, "in the test"
        def test_fails_elsewhere(): assert False, "without smolvm"
        def test_error(smolvm, broken): pass
        def test_leak(smolvm): smolvm.run("machine", "create", "left")
        @pytest.mark.skip(reason="not today")
        def test_skipped(smolvm): pass
        @pytest.mark.xfail(reason="some day")
        def test_xfailed(smolvm): assert False
        @pytest.mark.xfail(reason="some day")
        def test_xpassed(smolvm): pass
        @pytest.mark.xfail(reason="some day", strict=True)
        def test_xpassed_strict(smolvm): pass
        """
    )
    pytester.makepyfile(test_other="import nowhere_to_be_found")
    pytester.runpytest("--smolvm-report=report.html", "--continue-on-collection-errors")
    page = Reader(report)
    assert page.tests == {
        "test_it.py::test_error": "error",
        "test_it.py::test_fails": "failed",
        "test_it.py::test_fails_elsewhere": "failed",
        "test_it.py::test_leak": "error",
        "test_it.py::test_xpassed_strict": "failed",
        "test_other.py": "error",
        "test_it.py::test_skipped": "skipped",
        "test_it.py::test_xfailed": "xfailed",
        "test_it.py::test_xpassed": "xpassed",
    }
    for reason in ("RuntimeError: no setup", "Skipped: not today", "some day"):
        assert page.text.count(reason) >= 2, "in the index and beside the test"
    assert any("nowhere_to_be_found" in text for text in page.text)


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_secrets_in_a_failure(pytester: pytest.Pytester, report: Path, workers: list[str]) -> None:
    pytester.makepyfile(
        test_it="""
        import subprocess
        def test_it(smolvm):
            argv = ["smolvm", "machine", "exec", "-e", "TOKEN=hunter22 in two words", "--", "x"]
            subprocess.run(argv, check=True)
        def test_shell(smolvm):
            assert not "smolvm machine run -eNAME=other-secret --env KEY='third secret' x"
        """
    )
    pytester.runpytest("--smolvm-report=report.html", *workers).assert_outcomes(failed=2)
    page = Reader(report)
    assert any("'TOKEN=***'" in text for text in page.text)
    for secret in ("hunter22", "two words", "other-secret", "third secret"):
        assert secret not in page.source


def test_what_is_no_utf8_or_no_html(pytester: pytest.Pytester, report: Path) -> None:
    pytester.makepyfile(
        test_it=r"""
        import subprocess
        def test_it(smolvm):
            subprocess.run(["smolvm", b"\xff", "\x1b[31m"])
            assert False, "bell \x07"
        """
    )
    pytester.runpytest("--smolvm-report=report.html", "-n1").assert_outcomes(failed=1)
    page = Reader(report)
    assert any("␛[31m" in text for text in page.text)
    assert any(r"\udcff" in text for text in page.text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", page.source)


def test_a_long_message_is_cut_in_its_middle(pytester: pytest.Pytester, report: Path) -> None:
    pytester.makepyfile("def test_it(smolvm): assert False, 'first' + 'x' * 9**6 + 'last'")
    pytester.runpytest("--smolvm-report=report.html")
    page = Reader(report)
    assert any("characters are left out here" in text for text in page.text)
    assert len(page.source) < 100_000


def test_a_run_inside_a_test_has_its_own(pytester: pytest.Pytester, report: Path) -> None:
    pytester.makeconftest("pytest_plugins = ['pytester']")
    pytester.makepyfile(
        test_it="""
        import pytest
        def test_before(fake_smolvm): pass
        def test_inside(pytester, fake_smolvm):
            pytester.makepyfile("def test_inner(fake_smolvm): pass")
            pytester.runpytest_inprocess("--smolvm-report=inner.html").assert_outcomes(passed=1)
            assert "test_inner" in (pytester.path / "inner.html").read_text()
        def test_main(tmp_path, fake_smolvm):
            (tmp_path / "test_inner.py").write_text("def test_inner(fake_smolvm): pass")
            assert pytest.main([str(tmp_path), "-p", "no:cacheprovider"]) == 0
        def test_after(fake_smolvm): pass
        """
    )
    pytester.runpytest("--smolvm-report=report.html").assert_outcomes(passed=4)
    names = [name.partition("::")[2] for name in Reader(report).tests]
    assert names == ["test_after", "test_before", "test_inside", "test_main"]


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_attempts(pytester: pytest.Pytester, report: Path, workers: list[str]) -> None:
    pytester.makepyfile(
        test_it="""
        attempts = []
        def test_it(fake_smolvm):
            attempts.append(f"box{len(attempts)}")
            fake_smolvm.run("machine", "create", attempts[-1])
            fake_smolvm.run("machine", "delete", "-f", attempts[-1])
            assert len(attempts) == 2, "the first"
        """
    )
    pytester.runpytest("--smolvm-report=report.html", "--reruns=2", *workers)
    page = Reader(report)
    assert page.tests == {"test_it.py::test_it": "passed"}
    assert ", attempt 2 of 2" in page.text
    lanes = [text for text in page.text if text.startswith("box")]
    assert lanes == ["box1", "box0"], "the one that counts, then the one before"
    assert "AssertionError: the first" in page.text


def test_a_worker_that_dies(pytester: pytest.Pytester, report: Path) -> None:
    pytester.makepyfile(
        test_it="""
        import os
        def test_dies(smolvm): os._exit(3)
        def test_lives(smolvm): pass
        """
    )
    pytester.runpytest("--smolvm-report=report.html", "-n1")
    page = Reader(report)
    assert page.tests == {"test_it.py::test_dies": "failed", "test_it.py::test_lives": "passed"}
    assert "worker 'gw0' crashed while running 'test_it.py::test_dies'" in page.text


@pytest.mark.parametrize("how", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_an_interrupted_run(pytester: pytest.Pytester, report: Path, how: str) -> None:
    pytester.makepyfile(
        test_it=f"""
        import pytest
        def test_before(smolvm): pass
        def test_it(smolvm):
            smolvm.run("machine", "create", "left")
            {how}
        def test_after(smolvm): pass
        """
    )
    done = pytester.runpytest_subprocess("--smolvm-report=report.html")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in done.stderr.str(), "of what the test left behind"
    done.stdout.fnmatch_lines([f"*smolvm report: {report}*", "*1 passed*"])
    page = Reader(report)
    assert page.tests == {"test_it.py::test_it": "no end", "test_it.py::test_before": "passed"}
    assert any(text.startswith("The run was interrupted: ") for text in page.text)
    assert len([attrs for attrs in page.classes("bar") if "sample" not in attrs["class"]]) == 1


def test_an_internal_error(pytester: pytest.Pytester, report: Path) -> None:
    pytester.makeconftest(
        "def pytest_runtest_logfinish(nodeid):\n if 'bad' in nodeid: raise ValueError('a plugin')"
    )
    pytester.makepyfile(test_it=SOURCE)
    done = pytester.runpytest_subprocess("--smolvm-report=report.html")
    assert done.ret == pytest.ExitCode.INTERNAL_ERROR
    page = Reader(report)
    assert page.tests["test_it.py::test_bad"] == "failed"
    assert any("internal error" in text and "a plugin" in text for text in page.text)


@pytest.mark.parametrize(
    ("options", "tests", "note"),
    [
        (["-x"], {"test_it.py::test_fails": "failed"}, "ended early: stopping after 1 failures"),
        (["--collect-only"], {}, "Nothing was run, with --collect-only: 2 tests"),
        (["-k", "nothing"], {}, "No test used smolvm"),
    ],
)
def test_a_run_that_is_not_whole(
    pytester: pytest.Pytester, report: Path, options: list[str], tests: dict[str, str], note: str
) -> None:
    pytester.makepyfile(test_it=f"{FAILS}def test_after(smolvm): pass")
    pytester.runpytest("--smolvm-report=report.html", *options)
    page = Reader(report)
    assert page.tests == tests
    assert any(note in text for text in page.text)


def test_no_report_unless_asked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SOURCE)
    pytester.runpytest()
    assert not list(pytester.path.glob("*.html"))


def test_folders_are_made_and_the_page_replaced(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILS)
    report = pytester.path / "out" / "of" / "reach" / "report.html"
    for _ in range(2):
        done = pytester.runpytest(f"--smolvm-report={report}")
        done.stdout.fnmatch_lines(["*to be seen*", f"*smolvm report: {report}*"])
        assert "to be seen" in report.read_text(encoding="utf-8")
        assert [path.name for path in report.parent.iterdir()] == ["report.html"]
        report.write_text(OLDER, encoding="utf-8")


def test_the_folder_is_where_pytest_was_started(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import os\ndef test_it(fake_smolvm, tmp_path): os.chdir(tmp_path)")
    pytester.runpytest("--smolvm-report=out/report.html").assert_outcomes(passed=1)
    assert (pytester.path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("", "name the file that the report is to be"),
        ("folder", "is a folder: name a file, such as folder/report.html"),
        ("new/", "is a folder: name a file, such as new/report.html"),
        ("file/report.html", "cannot be written: * is no folder"),
        ("x" * 300 + ".html", "cannot be written: File name too long"),
        ("loop/report.html", "cannot be written: Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_a_report_is_said_before_the_run(
    pytester: pytest.Pytester, named: str, message: str
) -> None:
    (pytester.path / "folder").mkdir()
    (pytester.path / "file").touch()
    (pytester.path / "loop").symlink_to("loop")
    pytester.makepyfile(FAILS)
    done = pytester.runpytest(f"--smolvm-report={named}")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: --smolvm-report={named}: {message}"])
    assert len(done.errlines) <= 2, "one sentence"


@pytest.mark.parametrize(
    ("source", "code"), [(FAILS, 1), ("def test_fine(smolvm): pass", 1), ("", 1)]
)
def test_a_page_that_cannot_be_written_takes_nothing_with_it(
    pytester: pytest.Pytester, source: str, code: int
) -> None:
    pytester.makeconftest("def pytest_sessionstart(): open('out', 'w').close()")
    pytester.makepyfile(source)
    done = pytester.runpytest("--smolvm-report=out/report.html")
    assert done.ret == code
    (line,) = [line for line in done.outlines if "cannot be written" in line]
    assert re.fullmatch(r"--smolvm-report: .*/out/report.html cannot be written: \w[\w ]+", line)
    assert "Traceback" not in done.stdout.str() + done.stderr.str()
    if "to be seen" in source:
        done.stdout.fnmatch_lines(["*AssertionError: to be seen*"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a Linux device that is always full")
def test_a_full_disk(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILS)
    done = pytester.runpytest("--smolvm-report=/dev/full")
    done.stdout.fnmatch_lines(["*to be seen*", "*/dev/full cannot be written: No space left*"])
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode), "written to, not replaced"


def test_a_failed_write_leaves_the_older_page(
    pytester: pytest.Pytester, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(FAILS)
    report.write_text(OLDER, encoding="utf-8")

    def no_replacing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fake_smolvm.harness.verdicts.reporter.os.replace", no_replacing)
    done = pytester.runpytest("-p", "no:cacheprovider", "--smolvm-report=report.html")
    done.stdout.fnmatch_lines(["*cannot be written: No space left on device*"])
    assert report.read_text(encoding="utf-8") == OLDER
    assert not list(pytester.path.glob(".smolvm-report*"))


def test_a_file_that_is_no_report_is_not_replaced(pytester: pytest.Pytester) -> None:
    path = pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest("--smolvm-report", path.name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --smolvm-report=*.py: is there already, and no report: *"])
    assert path.read_text(encoding="utf-8") == "def test_it(): pass"
    for _ in range(2):
        assert pytester.runpytest("--smolvm-report=report.html").ret == 0
