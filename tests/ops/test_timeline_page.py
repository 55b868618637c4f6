"""The interactive page: complete in itself, and what its reader sees and does in a real browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taltool.ops.timeline import Row, Timeline
from taltool.ops.timeline_page import timeline_page

LONG = 18.0


def timeline(video_id: str = "v one/2", labels: tuple[str, str] = ("run", "jump")) -> Timeline:
    """An instance and three predictions, best first, in a video of 18 s."""
    truth = Row("ground truth", np.array([[2.0, 8]]), [labels[0]])
    found = Row(
        name="a.json",
        segments=np.array([[2.0, 7], [12, 14], [0, 1]]),
        labels=[labels[0], labels[1], labels[0]],
        scores=np.array([0.875, 0.25, 0.125]),
        tious=np.array([5 / 6, 0, 0]),
        total=7,
    )
    return Timeline(video_id, LONG, [truth, found])


def predicted(video_id: str, count: int, duration: float | None = LONG) -> Timeline:
    """So many predictions alone, the k-th from k to k + 0.9 of `count` parts of 18 s; scores fall from 1 to near 0."""
    starts = np.arange(count) * LONG / count
    segments = np.stack([starts, starts + 0.9 * LONG / count], axis=1)
    labels = ["run" if k % 2 else "jump" for k in range(count)]
    return Timeline(video_id, duration, [Row("found", segments, labels, np.linspace(1, 0.01, count))])


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
    for word in (*words.split(), "disable-component-update", "disable-sync", "no-first-run", "window-size=1200,900"):
        options.add_argument(f"--{word}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # With the driver named selenium looks for none.
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield session
    session.quit()


class Page:
    """A page in the browser, in the words of its reader."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def open(self, folder: Path, timelines: list[Timeline], sources: dict[str, str], **options: int) -> "Page":
        (folder / "page.html").write_text(timeline_page(timelines, sources, **options), encoding="utf-8")
        self.browser.get("about:blank")
        self.browser.get((folder / "page.html").as_uri())
        return self

    def run(self, script: str, *values: object) -> Any:
        return self.browser.execute_script(script, *values)

    def element(self, name: str) -> Any:
        return self.browser.find_element("id", name)

    def text(self, name: str) -> str:
        return str(self.element(name).text)

    def until(self, told: str, script: str) -> None:
        """Wait until an expression holds."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 20, 0.05).until(lambda _: self.run(f"return {script}"), told)

    def settled(self) -> None:
        """Wait for what the page does before the next frames."""
        self.browser.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        )

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.browser, duration=0).send_keys(*keys).perform()
        self.settled()

    def at(self, row: int, share: float) -> Any:
        """The pointer over a row of the chart, at a share of its width; in the upper lane."""
        from selenium.webdriver.common.action_chains import ActionChains

        plot = self.element("plot")
        box, cell = plot.rect, self.browser.find_elements("css selector", "#names > div")[row + 1].rect
        x, y = (share - 0.5) * box["width"], cell["y"] + 14 - box["y"] - box["height"] / 2
        return ActionChains(self.browser, duration=0).move_to_element_with_offset(plot, round(x), round(y))

    def listed(self) -> list[str]:
        """The rows of the list of segments that are in view."""
        rows = self.browser.find_elements("css selector", "#segment-list [role=option]")
        return [" ".join(row.text.split()) for row in rows]

    def chosen(self) -> str:
        return " ".join(self.element("segment-list").find_element("css selector", "[aria-selected=true]").text.split())

    def videos(self) -> list[str]:
        return [row.text for row in self.browser.find_elements("css selector", "#video-list b")]

    def set(self, selector: str, value: object) -> None:
        script = "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
        self.run(f"{script} e.dispatchEvent(new Event('input'))", selector, value)
        self.settled()

    def now(self) -> float:
        return float(self.run("return document.getElementById('player').currentTime"))

    def paused(self) -> bool:
        return bool(self.run("return document.getElementById('player').paused"))


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    """A page; whatever a test does with it, nothing goes wrong in the browser."""
    browser.get_log("browser")
    yield Page(browser)
    # Not of the page: what it does not find, and the new tab of the browser, to which a busy machine is a slow network.
    told = [line["message"] for line in browser.get_log("browser")]
    assert [each for each in told if "net::ERR" not in each and not each.startswith("chrome://")] == []


@pytest.fixture
def opened(page: Page, tmp_path: Path) -> Page:
    return page.open(tmp_path, [timeline(), timeline("second")], {})


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 18 s that browsers play: VP8, 5 frames a second, each of another grey."""
    av = pytest.importorskip("av")
    path = tmp_path_factory.mktemp("film") / "film #1 50%.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(round(5 * LONG)):
            picture = np.full((48, 64, 3), 2 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def playing(page: Page, film: Path, tmp_path: Path) -> Page:
    """A page whose first video plays."""
    from urllib.parse import quote

    page.open(tmp_path, [timeline("v"), timeline("w")], {"v": quote(str(film))})
    page.until("the video can be played", "document.getElementById('player').readyState >= 2")
    return page


@pytest.mark.slow
def test_the_page_asks_for_nothing_else(opened: Page) -> None:
    assert opened.run("return performance.getEntriesByType('resource').length") == 0


def test_at_first_as_many_predictions_show_as_there_are_instances(opened: Page) -> None:
    assert opened.listed() == ["0:02.0 0:08.0 run ground truth", "0:02.0 0:07.0 run 0.88 0.83 a.json"]
    assert opened.text("shown") == "2 segments shown"


def test_predictions_alone_show_their_best_twenty(page: Page, tmp_path: Path) -> None:
    page.open(tmp_path, [predicted("v", 50)], {})
    assert page.text("shown") == "20 segments shown"
    assert page.text("names").split("\n")[1] == "20 of 50"
    page.open(tmp_path, [predicted("v", 50)], {}, shown=40)
    assert page.text("shown") == "40 segments shown"


def test_hovering_a_segment_tells_its_facts(opened: Page) -> None:
    opened.at(1, 3 / LONG).perform()
    tip = opened.text("tip").splitlines()
    assert tip == [
        "run", "file a.json", "segment 0:02.00 – 0:07.00", "length 5.00 s", "score 0.875", "rank 1 of 7",
        "best tIoU 0.833",
    ]  # fmt: skip
    opened.at(0, 3 / LONG).perform()
    assert "segment 0:02.00 – 0:08.00" in opened.text("tip")
    assert "score" not in opened.text("tip")
    opened.at(1, 9 / LONG).perform()
    assert not opened.element("tip").is_displayed()


def test_more_predictions_show_on_demand_and_weak_ones_hide(opened: Page) -> None:
    opened.set("#count", 10)
    assert [row.split()[2] for row in opened.listed()] == ["run", "run", "run", "jump"]
    opened.set("#names input[type=range]", 200)  # a fifth of the way from 0 to 0.875
    assert [row.split()[0] for row in opened.listed()] == ["0:02.0", "0:02.0", "0:12.0"]
    assert "2 of 7" in opened.text("names")
    assert "≥ 0.17" in opened.text("names")


def test_labels_and_rows_can_be_shown_alone(opened: Page) -> None:
    opened.set("#count", 10)
    run, jump = opened.element("legend").find_elements("css selector", "button")
    assert (run.text, jump.text) == ("run", "jump")
    jump.click()
    assert [row.split()[:3] for row in opened.listed()] == [["0:12.0", "0:14.0", "jump"]]
    jump.click()
    opened.element("names").find_element("css selector", "input[type=checkbox]").click()  # the ground truth
    assert [row.split()[0] for row in opened.listed()] == ["0:00.0", "0:02.0", "0:12.0"]


def test_heads_of_the_list_sort_it(opened: Page) -> None:
    opened.set("#count", 10)
    heads = {head.text: head for head in opened.element("heads").find_elements("css selector", "button")}
    assert list(heads) == ["start", "end", "label", "score", "tIoU", "file"]
    heads["label"].click()
    assert [row.split()[2] for row in opened.listed()] == ["jump", "run", "run", "run"]


def test_n_and_p_walk_through_the_segments_that_are_shown(opened: Page) -> None:
    opened.set("#count", 10)
    opened.press("n")
    assert opened.chosen().startswith("0:02.0 0:08.0")  # the next one after 0:00.0
    opened.press("n", "n")
    assert opened.chosen().startswith("0:12.0")
    opened.press("n")
    assert opened.chosen().startswith("0:12.0")
    opened.press("p", "p", "p")
    assert opened.chosen().startswith("0:00.0")
    assert "run, 0:00.0 to 0:01.0, score 0.13" in opened.run("return document.getElementById('said').textContent")


def test_zooming_keeps_what_is_under_the_pointer(opened: Page) -> None:
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    assert opened.text("range") == "0:00.0 – 0:18.0"
    opened.element("in").click()  # 18 / 1.6 = 11.25 s about the middle
    opened.settled()
    assert opened.text("range") == "0:03.4 – 0:14.6"
    opened.press("0")
    assert opened.text("range") == "0:00.0 – 0:18.0"
    plot = opened.element("plot")
    origin = ScrollOrigin.from_element(plot, round(plot.rect["width"] / 6), 0)  # a sixth right of the middle: 12 s
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(opened.browser, duration=0).scroll_from_origin(origin, 0, -300).perform()  # e times nearer: 6.62 s
    opened.settled()
    start, end = (float(text[2:]) for text in opened.text("range").split(" – "))
    assert end - start == pytest.approx(18 / np.e, abs=0.15)
    assert (12 - start) / (end - start) == pytest.approx(2 / 3, abs=0.02)


def test_dragging_moves_along_a_zoomed_video(opened: Page) -> None:
    opened.press("+")  # 3.375 to 14.625
    width = opened.element("plot").rect["width"]
    opened.at(1, 0.9).click_and_hold().move_by_offset(round(-width / 10), 0).release().perform()
    opened.settled()
    assert opened.text("range") in ("0:04.5 – 0:15.7", "0:04.5 – 0:15.8")


def test_a_prediction_that_is_chosen_comes_into_view(opened: Page) -> None:
    opened.set("#count", 10)
    opened.press("+", "+", "+", "+")  # 18 / 1.6 ** 4 = 2.7 s about 9 s
    opened.press("n", "n", "n")
    assert opened.chosen().startswith("0:12.0")
    start, end = (float(text[2:]) for text in opened.text("range").split(" – "))
    assert start <= 12
    assert end >= 14


def test_a_click_on_a_segment_plays_it_and_another_pauses(playing: Page) -> None:
    playing.at(1, 3 / LONG).click().perform()
    playing.until("it plays on from 2 s", "document.getElementById('player').currentTime > 2.3")
    assert not playing.paused()
    assert playing.now() < 6
    playing.at(1, 3 / LONG).click().perform()
    assert playing.paused()


def test_the_playhead_is_where_the_video_is(playing: Page) -> None:
    playing.at(1, 3 / LONG).click().perform()
    playing.until("it plays", "document.getElementById('player').currentTime > 2.3")
    playing.press(" ")
    playing.settled()
    head, plot = playing.element("playhead").rect, playing.element("plot").rect
    assert (head["x"] + 1 - plot["x"]) / plot["width"] * LONG == pytest.approx(playing.now(), abs=0.1)
    assert playing.text("clock").startswith("0:02") or playing.text("clock").startswith("0:03")


def test_the_list_plays_a_segment_too(playing: Page) -> None:
    playing.browser.find_elements("css selector", "#segment-list [role=option]")[1].click()
    playing.until("it plays", "document.getElementById('player').currentTime > 2.2")


def test_space_plays_and_pauses_and_arrows_seek(playing: Page) -> None:
    playing.press(" ")
    playing.until("it plays", "document.getElementById('player').currentTime > 0.2")
    playing.press(" ")
    assert playing.paused()
    before = playing.now()
    playing.press("\ue014")  # right
    assert playing.now() == pytest.approx(before + 1)
    playing.press("\ue014", "\ue014", "\ue012")  # right, right, left: none is lost while the first is sought
    assert playing.now() == pytest.approx(before + 2)


def test_a_click_beside_segments_goes_there_without_playing(playing: Page) -> None:
    playing.at(1, 0.5).click().perform()
    assert playing.now() == pytest.approx(9, abs=0.05)
    assert playing.paused()


def test_a_segment_is_repeated_on_demand(playing: Page) -> None:
    playing.set("#count", 10)
    playing.element("loop").click()
    playing.press("p", "n", "p")
    assert playing.chosen().startswith("0:00.0 0:01.0")
    playing.press("\ue007")  # enter
    playing.until("it comes near the end", "document.getElementById('player').currentTime > 0.8")
    playing.until("it begins again", "document.getElementById('player').currentTime < 0.5")
    assert not playing.paused()


def test_a_video_without_a_file_is_shown_without_a_player(playing: Page) -> None:
    playing.press("j")
    assert playing.text("title") == "w"
    assert not playing.element("player").is_displayed()
    assert "No video file was named for this id" in playing.text("note")
    playing.press("k")
    assert playing.element("player").is_displayed()
    assert not playing.element("note").is_displayed()


@pytest.mark.parametrize("content", [b"no video", None])
def test_a_video_that_cannot_be_played_is_told_and_the_timeline_stays(
    page: Page, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "a b.mp4").write_bytes(content)
    page.open(tmp_path, [timeline("v")], {"v": "a%20b.mp4"})
    page.until("the page says so", "!document.getElementById('note').hidden")
    assert "cannot play a b.mp4" in page.text("note")
    assert not page.element("player").is_displayed()
    page.at(1, 3 / LONG).click().perform()
    assert page.chosen().startswith("0:02.0")


def test_a_length_that_nobody_said_is_the_films(page: Page, film: Path, tmp_path: Path) -> None:
    from urllib.parse import quote

    row = Row("found", np.array([[1.0, 3]]), ["run"], np.array([0.5]))
    page.open(tmp_path, [Timeline("v", None, [row])], {})
    assert (page.text("facts"), page.text("range")) == ("length unknown", "0:00.0 – 0:03.0")
    page.open(tmp_path, [Timeline("v", None, [row])], {"v": quote(str(film))})
    page.until("the film is known", "document.getElementById('facts').textContent === '0:18.0'")
    page.settled()
    assert page.text("range") == "0:00.0 – 0:18.0"


def test_a_file_of_the_readers_own_plays(page: Page, film: Path, tmp_path: Path) -> None:
    page.open(tmp_path, [timeline("some id")], {"some id": "not-there.mp4"})
    page.until("the page says that it is not there", "!document.getElementById('note').hidden")
    page.element("files").send_keys(str(film))
    page.until("it can be played", "document.getElementById('player').readyState >= 2")
    page.press(" ")
    page.until("it plays", "document.getElementById('player').currentTime > 0.2")


def test_the_search_finds_ids_and_labels(page: Page, tmp_path: Path) -> None:
    other = Timeline("cam2/swim", 9.0, [Row("found", np.array([[1.0, 3]]), ["Diving"], np.array([0.5]))])
    page.open(tmp_path, [timeline("cam1/a"), timeline("cam1/b"), other], {})
    assert page.videos() == ["cam1/a", "cam1/b", "cam2/swim"]
    page.press("/")
    page.press("cam1 RUN")
    assert page.videos() == ["cam1/a", "cam1/b"]
    assert page.text("found") == "2 of 3 videos"
    page.set("#search", "diving")
    assert page.videos() == ["cam2/swim"]
    page.press("\ue007")
    assert page.text("title") == "cam2/swim"
    page.set("#search", "nothing")
    assert page.videos() == []
    assert "No video has these words" in page.text("video-list")


def test_keys_and_addresses_go_to_videos(opened: Page) -> None:
    assert opened.text("title") == "v one/2"
    opened.press("\ue015")  # down
    assert opened.text("title") == "second"
    opened.press("j")
    assert opened.text("title") == "v one/2"
    opened.element("previous").click()
    assert opened.text("title") == "second"
    assert opened.run("return location.hash") == "#second"
    opened.run("location.hash = '#v%20one%2F2'")
    opened.until("it is shown", "document.getElementById('title').textContent === 'v one/2'")


def test_keys_in_a_field_belong_to_the_field(opened: Page) -> None:
    opened.element("search").send_keys("n j ?")
    assert opened.run("return document.getElementById('search').value") == "n j ?"
    assert opened.text("title") == "v one/2"
    assert not opened.element("keys").is_displayed()
    opened.press("\ue00c")  # escape leaves the field
    opened.press("?")
    assert opened.element("keys").is_displayed()


def test_one_video_needs_no_list(page: Page, tmp_path: Path) -> None:
    page.open(tmp_path, [timeline()], {})
    assert not page.element("videos").is_displayed()
    assert not page.element("next").is_displayed()


HOSTILE = ['</script><script>alert("x")</script>', "<img src=x onerror=alert(1)>", "\"'&amp;`${1}` 🤸 \u2028 #%20/..\\"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(page: Page, tmp_path: Path, name: str) -> None:
    shown = re.sub(r"\s+", " ", name)
    row = Row(name, np.array([[1.0, 9]]), [name], np.array([0.5]))
    page.open(tmp_path, [timeline("first"), Timeline(name, LONG, [row, row])], {})
    page.press("j")
    assert page.run("return document.getElementById('title').textContent") == name
    assert re.sub(r"\s+", " ", page.videos()[1]) == shown
    assert page.run("return document.querySelector('#legend button').textContent") == name
    assert page.run("return document.querySelector('#names b').textContent") == name
    page.at(0, 2 / LONG).perform()
    assert page.run("return document.querySelector('#tip b').textContent") == name
    assert page.run("return document.querySelectorAll('img, script').length") == 2
    page.browser.refresh()  # the address names the video
    assert page.run("return document.getElementById('title').textContent") == name


def test_ten_thousand_segments_are_few_elements(page: Page, tmp_path: Path) -> None:
    page.open(tmp_path, [predicted("v", 10_000)], {}, shown=10_000)
    assert page.text("shown") == "10000 segments shown"
    assert page.run("return document.getElementsByTagName('*').length") < 600
    page.run("const list = document.getElementById('segment-list'); list.scrollTop = list.scrollHeight")
    page.settled()
    assert page.listed()[-1].startswith("0:18.0 0:18.0 run 0.01")


@pytest.mark.parametrize("width", [700, 1200, 1900])
def test_the_page_fills_the_window_and_no_more(playing: Page, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    playing.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        playing.settled()
        assert playing.run("return document.scrollingElement.scrollWidth") <= width
        # Beside the lists of videos (264) and segments (400 or 30 %) the player has the rest.
        assert playing.element("screen").rect["width"] >= {700: 660, 1200: 480, 1900: 1050}[width]
        time = playing.element("chart").rect
        assert time["x"] + time["width"] >= width - 40
    finally:
        playing.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
