"""The page in a real browser: drawn, silent, offline, readable on a phone and in the dark."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pretrial.report import figures
from pretrial.report.data import ReportData
from pretrial.report.write import write_report

pytestmark = pytest.mark.browser

DRAWN = "return document.documentElement.dataset.charts || ''"
# A chart is drawn when marks with an extent stand in it.
MARKS = """
return Array.from(document.querySelectorAll('[data-chart]')).map(place => [
  place.dataset.chart,
  Array.from(place.querySelectorAll('svg path, svg line, svg rect, svg text'))
    .filter(mark => { const box = mark.getBoundingClientRect(); return box.width + box.height > 0; }).length,
  place.querySelectorAll('svg .mark-symbol path, svg .mark-rect path, svg .mark-line path').length,
])
"""
GROUND = "return getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    driver = shutil.which("chromedriver")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if driver is None or chromium is None:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-sync",
        "--no-first-run",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    yield window
    window.quit()


@pytest.fixture(autouse=True)
def _as_before(browser: Any) -> Iterator[None]:
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def look(browser: Any, report: Path) -> list[dict[str, Any]]:
    """Open the page, wait for its charts, give the log; earlier logs are dropped."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get((report / "index.html").as_uri())
    WebDriverWait(browser, 30).until(lambda window: window.execute_script(DRAWN))
    assert browser.execute_script(DRAWN) == "drawn"
    log: list[dict[str, Any]] = browser.get_log("browser")
    return log


def scheme(browser: Any, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def test_charts_of_a_sparse_study_say_nothing_either(
    browser: Any, data: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The browser draws the charts itself and looks at no picture.
    monkeypatch.setattr(figures, "svg", lambda figure: "")
    monkeypatch.setattr(figures, "png", lambda picture: b"")
    one = [
        {**row, "low": None, "high": None, "delta": None, "claim": None}
        for row in data.comparisons
        if row["variant"] == "code→text"
    ]
    sparse = dataclasses.replace(
        data,
        seeds=[1],
        claims=[],
        anchors=[],
        comparisons=one,
        training=[point for point in data.training if point["seed"] == 1],
        evaluation=[p for p in data.evaluation if p["seed"] == 1 and p["tokens"] == 300_032],
    )
    write_report(tmp_path / "report", sparse)
    assert look(browser, tmp_path / "report") == []
    assert all(marks > 0 for _, _, marks in browser.execute_script(MARKS))


def test_charts_are_drawn_without_a_word_in_the_console(browser: Any, report: Path) -> None:
    assert look(browser, report) == []
    charts = browser.execute_script(MARKS)
    assert len(charts) == 14
    for name, shapes, marks in charts:
        assert shapes > 5, name
        assert marks > 0, name


def test_no_request_leaves_the_page(browser: Any, report: Path) -> None:
    look(browser, report)
    asked = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    page = (report / "index.html").as_uri()
    assert page in asked
    assert [url for url in asked if url != page and urlsplit(url).scheme not in ("about", "data")] == []


def test_the_policy_stops_a_request_and_an_injected_script(browser: Any, report: Path) -> None:
    look(browser, report)
    stopped = browser.execute_async_script(
        "const done = arguments[0];"
        "fetch('index.html').then(() => done('loaded'), error => done('stopped: ' + error.message));"
    )
    assert stopped.startswith("stopped")
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.pwned = 1';"
        "document.body.append(script);"
    )
    assert browser.execute_script("return typeof window.pwned") == "undefined"


@pytest.mark.parametrize("kind", ["report", "hostile_report"])
def test_a_phone_needs_no_sideways_scrolling(browser: Any, kind: str, request: pytest.FixtureRequest) -> None:
    report: Path = request.getfixturevalue(kind)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    look(browser, report)
    browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.execute_script("return document.documentElement.clientWidth") == 390
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    wide = browser.execute_script(
        "return Array.from(document.querySelectorAll('[data-chart] svg'))"
        ".map(chart => chart.getBoundingClientRect()).filter(box => box.right > 390 || box.width < 200).length"
    )
    assert wide == 0


def test_tables_of_sources_fit_a_phone_and_wider_ones_show_that_there_is_more(browser: Any, report: Path) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 400, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    look(browser, report)
    browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    wide = (
        "return Array.from(document.querySelectorAll('{} .scroll')).filter(box => box.scrollWidth > box.clientWidth)"
        ".map(box => [box.getAttribute('aria-label'), getComputedStyle(box).backgroundAttachment])"
    )
    assert browser.execute_script(wide.format("#sources")) == []
    others = browser.execute_script(wide.format("#mixture"))
    assert others == [["Ledger", "local, local, scroll, scroll"]]


def test_charts_follow_the_width_of_the_window(browser: Any, report: Path) -> None:
    look(browser, report)
    width = "return document.querySelector('[data-chart=training-loss-0] svg').getBoundingClientRect().width"
    before = browser.execute_script(width)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 500, "height": 844, "deviceScaleFactor": 1, "mobile": False},
    )
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 10).until(lambda window: window.execute_script(width) <= 470)
    assert before > 470


def test_dark_is_dark_and_the_button_turns_it(browser: Any, report: Path) -> None:
    ink = "return getComputedStyle(document.querySelector('[data-chart=effects-0] svg .mark-text text')).fill"
    scheme(browser, "light")
    look(browser, report)
    light, light_ink = browser.execute_script(GROUND), browser.execute_script(ink)
    scheme(browser, "dark")
    assert look(browser, report) == []
    dark, dark_ink = browser.execute_script(GROUND), browser.execute_script(ink)
    assert light == "rgb(255, 255, 255)"
    assert max(map(int, dark.removeprefix("rgb(").removesuffix(")").split(","))) < 50
    assert dark_ink != light_ink
    browser.execute_script("document.getElementById('scheme').click()")
    assert browser.execute_script(GROUND) == light
    assert browser.execute_script(ink) == light_ink


def test_hostile_names_do_nothing(browser: Any, hostile_report: Path) -> None:
    assert look(browser, hostile_report) == []
    assert browser.execute_script("return typeof window.pwned") == "undefined"
    assert browser.execute_script("return document.querySelectorAll('main img').length") == 0
    browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    for chart in ("effects-0", "mixture-0", "funnel-0"):
        browser.execute_script(
            f"const mark = document.querySelector('[data-chart={chart}] svg .mark-rect path, "
            f"[data-chart={chart}] svg .mark-symbol path');"
            "const box = mark.getBoundingClientRect();"
            "mark.dispatchEvent(new MouseEvent('mousemove', {bubbles: true, clientX: box.x + 2, clientY: box.y + 2}))"
        )
    assert browser.execute_script("return typeof window.pwned") == "undefined"


def test_paper_is_light_and_keeps_the_charts(browser: Any, report: Path) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    look(browser, report)
    assert browser.execute_script(GROUND) == "rgb(255, 255, 255)"
    assert browser.execute_script("return getComputedStyle(document.querySelector('nav')).display") == "none"
    seen = "return Array.from(document.querySelectorAll('details table')).map(table => table.checkVisibility())"
    assert set(browser.execute_script(seen)) == {True}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen"})
    assert set(browser.execute_script(seen)) == {False}
