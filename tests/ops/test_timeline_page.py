"""The interactive page: complete in itself, and what a reader sees of it in a real browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taltool.ops.timeline import Row, Timeline, timeline_page


def timeline(video_id: str = "v one/2", labels: tuple[str, str] = ("run", "jump")) -> Timeline:
    truth = Row("ground truth", np.array([[2.0, 8]]), [labels[0]])
    found = Row(
        "a.json",
        np.array([[2.0, 7], [12, 14], [0, 1]]),
        [labels[0], labels[1], labels[0]],
        np.array([0.875, 0.25, 0.125]),
        np.array([5 / 6, 0, 0]),
    )
    return Timeline(video_id, 18.0, [truth, found])


def test_the_page_names_no_address() -> None:
    page = timeline_page([timeline()], {})
    assert not re.findall(r"""(?:src|href)\s*=\s*["']|@import|url\(|fetch\(|//[a-z]+\.""", page)


def test_a_label_cannot_end_the_script() -> None:
    page = timeline_page([timeline(labels=("</script><b>", "<!--"))], {})
    assert page.count("</script>") == 2
    assert "<!--" not in page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium; skipped where it, its driver or selenium is missing."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no Chromium with chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    # Root may run it, /dev/shm may be small, and no network is asked for anything.
    words = "headless=new no-sandbox disable-gpu disable-dev-shm-usage disable-background-networking"
    for word in (*words.split(), "disable-component-update", "disable-sync", "no-first-run", "window-size=1200,800"):
        options.add_argument(f"--{word}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # With the driver named selenium looks for none.
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield session
    session.quit()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Any:
    (tmp_path / "page.html").write_text(timeline_page([timeline(), timeline("second")], {}))
    browser.get((tmp_path / "page.html").as_uri())
    return browser


def shown(browser: Any) -> list[str]:
    return [box.get_attribute("textContent") for box in browser.find_elements("css selector", ".segment")]


def hover(browser: Any, number: int) -> str:
    from selenium.webdriver.common.action_chains import ActionChains

    box = browser.find_elements("css selector", ".segment")[number]
    ActionChains(browser).move_to_element(box).perform()
    return str(browser.find_element("id", "tip").text)


def test_nothing_goes_wrong_in_the_browser(opened: Any) -> None:
    assert opened.get_log("browser") == []
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_as_many_predictions_show_as_there_are_instances(opened: Any) -> None:
    assert shown(opened) == ["run", "0.88 run"]


def test_hovering_a_segment_shows_its_segment_score_and_label(opened: Any) -> None:
    tip = hover(opened, 1)
    assert tip.splitlines()[0] == "run"
    assert "file a.json" in tip
    assert "segment 2.00 s – 7.00 s" in tip
    assert "score 0.875" in tip
    assert "best tIoU 0.833" in tip


def test_a_segment_of_the_ground_truth_has_no_score(opened: Any) -> None:
    tip = hover(opened, 0)
    assert "segment 2.00 s – 8.00 s" in tip
    assert "score" not in tip


def set_value(browser: Any, element: str, value: float) -> None:
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input'))",
        element,
        value,
    )


def test_more_predictions_show_on_demand_and_weak_ones_hide(opened: Any) -> None:
    set_value(opened, "count", 10)
    assert shown(opened) == ["run", "0.88 run", "0.25 jump", "0.13 run"]
    set_value(opened, "score", 200)  # a fifth of the way from 0 to 0.875
    assert shown(opened) == ["run", "0.88 run", "0.25 jump"]


def test_zooming_widens_the_segment_and_keeps_the_middle(opened: Any) -> None:
    def box() -> dict[str, float]:
        return opened.find_elements("css selector", ".segment")[0].rect

    before = box()
    opened.find_element("id", "in").click()
    assert box()["width"] == pytest.approx(1.6 * before["width"], rel=0.02)
    scroll = opened.find_element("id", "scroll")
    middle = opened.execute_script("return (arguments[0].scrollLeft + arguments[0].clientWidth / 2) /"
                                   " arguments[0].scrollWidth", scroll)  # fmt: skip
    assert middle == pytest.approx(0.5, abs=0.01)
    opened.find_element("id", "whole").click()
    assert box()["width"] == pytest.approx(before["width"], rel=0.02)


def test_the_next_button_opens_the_next_video(opened: Any) -> None:
    assert opened.find_element("id", "video-id").get_attribute("value") == "v one/2"
    opened.find_element("id", "next").click()
    assert opened.find_element("id", "video-id").get_attribute("value") == "second"


def test_the_playhead_follows_the_video(browser: Any, tmp_path: Path, shared: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    film = shared / "data" / "videos" / "video_features__v_GGSY1Qvo990.mp4"
    (tmp_path / "film.html").write_text(timeline_page([timeline("v")], {"v": film.resolve().as_uri()}))
    browser.get((tmp_path / "film.html").as_uri())
    ready = "return document.getElementById('player').readyState >= 2 || !!document.getElementById('player').error"
    WebDriverWait(browser, 20).until(lambda b: b.execute_script(ready))
    if browser.execute_script("return !!document.getElementById('player').error"):
        pytest.skip("this browser does not play H.264")
    browser.find_elements("css selector", ".segment")[0].click()
    at = "return [document.getElementById('player').currentTime, document.querySelector('.playhead').style.left]"
    seconds, left = browser.execute_script(at)
    assert seconds == pytest.approx(2.0)
    assert float(left.rstrip("%")) == pytest.approx(100 * 2 / 18, abs=0.1)
    browser.execute_script("return document.getElementById('player').play()")
    WebDriverWait(browser, 20).until(lambda b: float(b.execute_script(at)[1].rstrip("%")) > 100 * 2.3 / 18)
