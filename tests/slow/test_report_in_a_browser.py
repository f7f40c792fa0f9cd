"""The report as a browser shows it: nothing out of place, too small or too pale to be seen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from fake_smolvm.harness.verdicts.report import Attempt, Entry, Run, page

if TYPE_CHECKING:
    from collections.abc import Callable
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
const box = e => { const r = e.getBoundingClientRect();
  return {left: r.left, right: r.right, top: r.top, bottom: r.bottom, width: r.width}; };
const all = (root, selector) => [...root.querySelectorAll(selector)];
const lanes = all(document, ".lane").map(lane => ({
  name: lane.querySelector(".name").textContent,
  shown: lane.querySelector(".name").scrollWidth <= lane.querySelector(".name").clientWidth,
  track: box(lane.querySelector(".track")),
  bars: all(lane, ".bar").map(e => ({...box(e), looks: getComputedStyle(e).background})),
  marks: all(lane, ".mark").map(box)}));

// What a color is, on what ground, for every text; and for the bars.
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const rgb = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
const ground = e => { for (; e; e = e.parentElement) {
    const color = getComputedStyle(e).backgroundColor;
    if (rgb(color)[3] > 0) return rgb(color); }
  return [255, 255, 255, 255]; };
const texts = all(document.body, ":not(script):not(style)").filter(e =>
    [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e =>
  ({text: e.textContent.trim().slice(0, 40), color: rgb(getComputedStyle(e).color),
    ground: ground(e)}));
const bars = all(document, ".bar").map(e => { const style = getComputedStyle(e);
  const color = style.borderTopWidth === "0px" ? style.backgroundColor : style.borderTopColor;
  return {text: e.className, color: rgb(color), ground: ground(e.parentElement)}; });

const seen = () => [all(document, "section"), all(document, ".index tbody tr")].map(
  found => found.filter(e => getComputedStyle(e).display !== "none").length);
const filters = Object.fromEntries(all(document, ".filter input").map(e => {
  e.click(); return [e.id, seen()]; }));
document.querySelector("#show-all").click();
const measured = {lanes, texts, bars, filters,
  page: document.documentElement.scrollWidth, window: innerWidth,
  scheme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"};
"""
LOOK_OVER = """
const measured = {
  lazy: getComputedStyle(document.querySelector("section")).contentVisibility,
  named: [...document.querySelectorAll("[aria-labelledby]")].map(
    e => document.getElementById(e.getAttribute("aria-labelledby")).textContent)};
"""
HAND_OVER = """
const pre = document.createElement("pre");
pre.id = "measured";
pre.textContent = JSON.stringify(measured);
document.body.append(pre);
"""
DARK = "--blink-settings=preferredColorScheme=0"
READABLE_TEXT, READABLE_SHAPE = 4.5, 3.0
"""The contrasts of WCAG 2, level AA."""


def call(started: float, seconds: float | None, **more: Any) -> dict[str, Any]:
    argv = ["smolvm", "machine", "exec", "--name", "box", "--", "echo", "x" * 200]
    made = {"argv": argv, "command": "machine exec", "machine": "box", "returncode": 0}
    return {**made, "ended": "ok", "stderr": "", "started": started, "seconds": seconds, **more}


STORY = {
    "test": "t",
    "smolvm": "fake 0.8.0",
    "calls": [
        call(0, 0.001),
        call(0.5, 3.0, returncode=1, machine="a-machine-whose-name-is-rather-long-" * 3 + "one"),
        call(0.6, 1.0, machine="a-machine-whose-name-is-rather-long-" * 3 + "two"),
        call(4, None, returncode=None, ended="no end"),
        call(9.999, 0.001, machine=None, stderr="Error: said so"),
    ],
    "hazards": [
        {"hazard": "H15", "machine": "box", "text": "H15: text", "at": 0.0},
        {"hazard": "H3", "machine": "box", "text": "H3: text", "at": 11.0},
        {"hazard": "leak", "machine": "box", "text": "leak: text", "at": None},
    ],
    "faults": [{"text": "machine start: hangs", "machine": "box", "at": 5.0}],
}
QUIET = {**STORY, "hazards": [], "faults": []}
ATTEMPT = Attempt("failed", [("the test", "assert 1 == 2\n" + "y" * 500)], "reason", [STORY])
RUN = Run(
    [
        Entry("tests/test_a.py::test_" + "long_" * 40 + "one", [ATTEMPT, ATTEMPT]),
        Entry(
            "tests/test_b.py::test_" + "long_" * 40 + "two", [Attempt("passed", [], "", [QUIET])]
        ),
        Entry("test_c", [Attempt("skipped", [], "not today", [])]),
        Entry("test_d", [Attempt("xpassed", [], "some day", [])]),
    ],
    {"passed": 3},
    ["The run was interrupted"],
    "Written now",
)


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail("no browser to look at the report with: install chromium, as .ci/run does")


@pytest.fixture
def measure(tmp_path: Path, chromium: str) -> Callable[..., Any]:
    """Return what a browser makes of a page."""

    def measure(html: str, width: int, *flags: str, script: str = MEASURE) -> Any:
        report = tmp_path / "report.html"
        script = f"<script>{script}{HAND_OVER}</script></body>"
        report.write_text(html.replace("</body>", script), encoding="utf-8")
        shown = subprocess.run(
            [
                chromium,
                *FLAGS,
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--window-size={width},900",
                "--virtual-time-budget=2000",
                *flags,
                "--dump-dom",
                report.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=500,
            check=True,
        ).stdout
        found = re.search(r'<pre id="measured">(.*?)</pre>', shown)
        assert found, shown[-2000:]
        return json.loads(unescape(found[1]))

    return measure


@pytest.mark.parametrize("width", [400, 1200])
def test_layout(measure: Callable[..., Any], width: int) -> None:
    measured = measure(page(RUN), width)
    assert measured["page"] <= measured["window"], "the page scrolls sideways"
    lanes = measured["lanes"][:4]
    long = "a-machine-whose-name-is-rather-long-" * 3
    assert [lane["name"] for lane in lanes] == [
        "box ▲ leak",
        f"{long}one",
        f"{long}two",
        "(no machine)",
    ]
    assert [len(lane["bars"]) for lane in lanes] == [2, 1, 1, 1]
    assert [len(lane["marks"]) for lane in lanes] == [3, 1, 0, 0]
    for lane in lanes:
        assert lane["shown"], "its name is cut"
        track = lane["track"]
        assert track["width"] >= width / 3
        for part in lane["bars"] + lane["marks"]:
            assert part["left"] >= track["left"] - 1
            assert part["right"] <= track["right"] + 1
            assert part["top"] >= track["top"]
            assert part["bottom"] <= track["bottom"]
            assert part["width"] >= 3
    ok, cut = lanes[0]["bars"]
    (bad,) = lanes[1]["bars"]
    assert len({bar["looks"] for bar in (ok, cut, bad)}) == 3
    assert "gradient" in bad["looks"], "more than a colour"
    assert cut["left"] > bad["left"]
    assert bad["width"] == pytest.approx(0.3 * track["width"], rel=0.02)


@pytest.mark.parametrize(("flags", "scheme"), [((), "light"), ((DARK,), "dark")])
def test_contrast(measure: Callable[..., Any], flags: tuple[str, ...], scheme: str) -> None:
    measured = measure(page(RUN), 1200, *flags)
    assert measured["scheme"] == scheme
    assert len(measured["texts"]) > 50
    assert len(measured["bars"]) > 10
    for least, parts in (READABLE_TEXT, measured["texts"]), (READABLE_SHAPE, measured["bars"]):
        for part in parts:
            assert part["color"][3] == 255, f"{part['text']} is transparent"
            assert contrast(part["color"], part["ground"]) >= least, part


def test_the_switches_work_without_a_script(measure: Callable[..., Any]) -> None:
    filters = measure(page(RUN), 1200)["filters"]
    assert filters == {
        "show-all": [4, 4],
        "show-bad": [1, 1],
        "show-good": [2, 2],
        "show-left-out": [1, 1],
        "show-hazard": [1, 1],
        "show-fault": [1, 1],
    }


def test_many_tests_are_laid_out_when_they_are_looked_at(measure: Callable[..., Any]) -> None:
    html = page(Run([Entry(f"test_{number}", RUN.tests[1].attempts) for number in range(2000)]))
    assert len(html) < 2000 * 6000
    measured = measure(html, 1200, script=LOOK_OVER)
    assert measured["lazy"] == "auto"
    assert measured["named"] == sorted(f"test_{number}" for number in range(2000))


def contrast(one: list[int], other: list[int]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: list[int]) -> float:
    parts = [part / 255 for part in color[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
