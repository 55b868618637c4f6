"""Speed of the page of timelines in headless Chromium: 10,000 segments beside a video of two hours, and 200 videos.

    python tests/benchmarks/bench_page.py

Prints how long the pages take to open, and the mean and longest time between two frames while the reader zooms, drags,
moves the slider of the least score, scrolls the list, goes from segment to segment, and while the video plays. Frames
come every 17 ms at best. Wants Chromium, chromedriver and selenium; the video is encoded first (VP8, 1 frame a second).
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
from selenium import webdriver

from taltool.ops.timeline import Row, Timeline
from taltool.ops.timeline_page import timeline_page

HOURS = 7200
# Do something at each of 60 frames; answer with the times between them in ms.
FRAMES = """
const [act, done] = [new Function("n", "at", arguments[0]), arguments[1]], times = [];
const at = id => document.getElementById(id);
let n = 0;
requestAnimationFrame(function frame(now) {
  times.push(now);
  if (n === 60) return done(times.slice(1).map((time, k) => time - times[k]));
  act(n++, at);
  requestAnimationFrame(frame);
});
"""
WHEEL = """
const plot = at("plot"), box = plot.getBoundingClientRect();
plot.dispatchEvent(new WheelEvent("wheel", {deltaY: n < 30 ? -60 : 60, clientX: box.left + box.width * 0.6,
                                            clientY: box.top + 60, bubbles: true, cancelable: true}));
"""
DRAG = """
const plot = at("plot"), box = plot.getBoundingClientRect();
plot.dispatchEvent(new WheelEvent("wheel", {deltaX: n < 30 ? 40 : -40, clientX: box.left + 300,
                                            clientY: box.top + 60, bubbles: true, cancelable: true}));
"""
SLIDE = """
const slider = document.querySelector("#names input[type=range]");
slider.value = 8 * n;
slider.dispatchEvent(new Event("input"));
"""
SCROLL = "const list = at('segment-list'); list.scrollTop = list.scrollHeight * n / 60;"
NEXT = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'n', bubbles: true}));"
POINT = """
const plot = at("plot"), box = plot.getBoundingClientRect();
plot.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width * n / 60, clientY: box.top + 80}));
"""


def drawn(video_id: str, seconds: float, count: int) -> Timeline:
    """Predictions of five classes, half a second and longer, anywhere in a video."""
    rng = np.random.default_rng(0)
    start = rng.uniform(0, seconds - 10, count)
    segments = np.stack([start, np.minimum(seconds, start + 0.5 + rng.exponential(6, count))], axis=1)
    labels = [f"class {number}" for number in rng.integers(0, 5, count)]
    return Timeline(video_id, seconds, [Row("found", segments, labels, np.sort(rng.uniform(size=count))[::-1])])


def write_video(path: Path) -> None:
    """Two hours of grey pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=1)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.options = {"deadline": "realtime", "cpu-used": "8"}
        for number in range(HOURS):
            picture = np.full((180, 320, 3), number % 250, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def opened(browser: Any, page: Path) -> float:
    """Seconds until a page is drawn."""
    browser.get("about:blank")
    begin = time.perf_counter()
    browser.get(page.as_uri())
    browser.execute_async_script("const d = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(d))")
    return time.perf_counter() - begin


def report(browser: Any, what: str, script: str) -> None:
    """Print how long frames take while `script` runs at each."""
    times = browser.execute_async_script(FRAMES, script)
    print(f"{what:24}  mean {np.mean(times):6.1f} ms   longest {max(times):6.1f} ms", flush=True)


def main() -> None:
    """Open the pages, and use them."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1900,1000"):
        options.add_argument(f"--{word}")
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_video(folder / "long.webm")
        pages = {
            "10,000 segments": timeline_page([drawn("long", HOURS, 10_000)], {"long": "long.webm"}, 10_000),
            "200 videos of 200": timeline_page([drawn(f"v{n}", 600, 200) for n in range(200)], {}),
        }
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        for what, text in reversed(pages.items()):
            (folder / "page.html").write_text(text)
            took = opened(browser, folder / "page.html")
            print(f"{what:24}  opens in {took:.2f} s   {len(text) / 1e6:.2f} MB", flush=True)
        for what, script in {
            "nothing": "",
            "zoom in and out": WHEEL,
            "drag, zoomed": DRAG,
            "point": POINT,
            "least score": SLIDE,
            "scroll the list": SCROLL,
            "next segment": NEXT,
        }.items():
            if what == "drag, zoomed":
                browser.execute_script("for (let n = 0; n < 2; n++) document.getElementById('in').click()")
            report(browser, what, script)
        browser.execute_script("document.getElementById('whole').click(); document.getElementById('play').click()")
        time.sleep(1)
        report(browser, "play", "")
        report(browser, "play, zoom", WHEEL)
        print("currentTime", browser.execute_script("return document.getElementById('player').currentTime"))
        browser.quit()


if __name__ == "__main__":
    main()
