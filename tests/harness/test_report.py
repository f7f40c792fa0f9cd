from __future__ import annotations

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
    assert False

def test_without(): pass
"""


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())

    def classes(self, name: str) -> list[dict[str, str]]:
        return [attrs for _, attrs in self.seen if name in attrs.get("class", "").split()]


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_one_page_for_the_run(pytester: pytest.Pytester, workers: list[str]) -> None:
    pytester.makepyfile(test_it=SOURCE)
    pytester.runpytest("--smolvm-report=report.html", *workers).assert_outcomes(passed=3, failed=1)
    page = read(pytester.path / "report.html")
    tests = [text for text in page.text if text.startswith("test_it.py::")]
    assert tests == [
        "test_it.py::test_bad",
        "test_it.py::test_good[fake_smolvm]",
        "test_it.py::test_good[smolvm]",
    ]
    assert page.text.count("failed") == 1
    names = [text for text in page.text if text in ("box", "b<x>", "left")]
    assert names == ["left", "box", "b<x>", "box", "b<x>"]
    assert len(page.classes("bar")) == 1 + 5 + 5
    assert len(page.classes("bad")) == 2 + 2
    marks = [attrs["title"] for attrs in page.classes("mark")]
    assert [mark.partition(":")[0] for mark in marks] == ["H3", "machine stop"] * 2
    assert "▲ leak" in page.text


def test_page_stands_alone_and_keeps_secrets(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SOURCE)
    pytester.runpytest("--smolvm-report=report.html")
    text = (pytester.path / "report.html").read_text(encoding="utf-8")
    assert "hunter22" not in text
    assert "b<x>" not in text
    tags = {tag for tag, _ in read(pytester.path / "report.html").seen}
    assert tags.isdisjoint({"script", "link", "img", "iframe"})
    assert "http" not in text.replace("http-equiv", "")


def test_no_report_unless_asked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SOURCE)
    pytester.runpytest()
    assert not list(pytester.path.glob("*.html"))


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader
