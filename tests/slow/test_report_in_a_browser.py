"""The report as a browser lays it out: nothing outside its place, nothing too small to be seen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness.report import page

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MEASURE = """
<script>
const box = e => { const r = e.getBoundingClientRect();
  return {left: r.left, right: r.right, top: r.top, bottom: r.bottom, width: r.width}; };
const all = (root, selector) => [...root.querySelectorAll(selector)];
const lanes = all(document, ".lane").map(lane => ({
  name: lane.querySelector(".name").textContent,
  track: box(lane.querySelector(".track")),
  bars: all(lane, ".bar").map(e => ({...box(e), color: getComputedStyle(e).backgroundColor})),
  marks: all(lane, ".mark").map(box)}));
document.title = "measured";
const pre = document.createElement("pre");
pre.id = "measured";
pre.textContent = JSON.stringify({lanes, page: document.documentElement.scrollWidth,
                                  window: innerWidth});
document.body.append(pre);
</script>
"""


def call(started: float, seconds: float | None, **more: Any) -> dict[str, Any]:
    argv = ["smolvm", "machine", "exec", "--name", "box", "--", "echo", "x" * 200]
    made = {"argv": argv, "command": "machine exec", "machine": "box", "returncode": 0}
    return {**made, "stderr": "", "started": started, "seconds": seconds, **more}


STORY = {
    "test": "tests/test_a.py::test_" + "long_" * 40,
    "smolvm": "fake 0.8.0",
    "failed": True,
    "calls": [
        call(0, 0.001),
        call(0.5, 3.0, returncode=1, machine="a-machine-whose-name-is-rather-long-" * 3),
        call(4, None, returncode=None),
        call(9.999, 0.001, machine=None),
    ],
    "hazards": [
        {"hazard": "H15", "machine": "box", "text": "H15: text", "at": 0.0},
        {"hazard": "H3", "machine": "box", "text": "H3: text", "at": 11.0},
        {"hazard": "leak", "machine": "box", "text": "leak: text", "at": None},
    ],
    "faults": [{"text": "machine start: hangs", "machine": "box", "at": 5.0}],
}


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail("no browser to look at the report with: install chromium, as .ci/run does")


@pytest.mark.parametrize("width", [400, 1200])
def test_layout(tmp_path: Path, chromium: str, width: int) -> None:
    html = page([STORY, {**STORY, "test": "b", "calls": [], "hazards": [], "faults": []}])
    report = tmp_path / "report.html"
    report.write_text(html.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    shown = subprocess.run(
        [
            chromium,
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900",
            "--virtual-time-budget=2000",
            "--dump-dom",
            report.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    found = re.search(r'<pre id="measured">(.*?)</pre>', shown)
    assert found, shown[-2000:]
    measured = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))

    assert measured["page"] <= measured["window"], "the page scrolls sideways"
    assert [lane["name"] for lane in measured["lanes"]] == [
        "box ▲ leak",
        "a-machine-whose-name-is-rather-long-" * 3,
        "(no machine)",
    ]
    assert [len(lane["bars"]) for lane in measured["lanes"]] == [2, 1, 1]
    assert [len(lane["marks"]) for lane in measured["lanes"]] == [3, 0, 0]
    for lane in measured["lanes"]:
        track = lane["track"]
        assert track["width"] >= width / 3
        for part in lane["bars"] + lane["marks"]:
            assert part["left"] >= track["left"] - 1
            assert part["right"] <= track["right"] + 1
            assert part["top"] >= track["top"]
            assert part["bottom"] <= track["bottom"]
            assert part["width"] >= 3
    ok, cut = measured["lanes"][0]["bars"]
    (bad,) = measured["lanes"][1]["bars"]
    assert bad["color"] != ok["color"]
    assert cut["left"] > bad["left"]
    assert bad["width"] == pytest.approx(0.3 * track["width"], rel=0.02)
