"""Pictures of the page on which suspects are reviewed, for the README and the guide: wide and narrow, light and dark.

Fits the default to the demo's table and photos and to a series with faults, starts ``expose review`` on each, answers a
few questions by keys as the truth is known, and takes pictures of the page in headless Chromium (about three minutes).
Needs a checkout with Playwright and Chromium, and the extras ``images`` and ``web``.
"""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from expose.cli.plates import plates
from expose_lab.studies.base import Drawing
from expose_lab.studies.series_spans import made, with_fault

WIDE, HIGH, SCALE = 1100, 800, 1.165  # of a window, and pixels of the picture for each of its own
PHONE, TALL, GAP = 390, 780, 24  # of a phone's, and between two of them
COLOURS = 256
ANSWERED = 7  # before the picture is taken
BETWEEN = (236, 236, 234)
SOONEST, LATEST = 300, 120_000  # milliseconds that a page gets to settle, and that something may take


def draw(results: Path, docs: Path) -> None:
    """All pictures."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program)
        folder, images = Path(name), docs / "images"
        odd = write_table(folder / "patients.csv")
        write_photos(folder / "photos")
        write_series(folder / "pump.csv")
        with reviewed(folder, "patients.csv") as url:
            page = opened(browser, url, "light", WIDE, HIGH)
            answer(page, lambda row: row in odd)
            whole(page, images / "review.png")
            narrow = shot(opened(browser, url, "dark", PHONE, TALL))
            page.keyboard.press("l")
            page.wait_for_selector(".tiles", timeout=LATEST)
            whole(page, images / "review-changes.png")
        with reviewed(folder, "photos") as url:
            page = opened(browser, url, "dark", WIDE, HIGH)
            answer(page, lambda row: True, 2)
            whole(page, images / "review-photo.jpg")
        with reviewed(folder, "pump.csv", "--time", "when") as url:
            beside([shot(opened(browser, url, "light", PHONE, TALL)), narrow], images / "review-phone.png")
        browser.close()


def write_table(path: Path) -> set[int]:
    """The demo's table without its truth, and which rows are anomalies."""
    text = gzip.decompress(files("expose.cli").joinpath("data", "thyroid.csv.gz").read_bytes()).decode()
    names, *rows = csv.reader(StringIO(text))
    truth = names.index("is_anomaly")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[*one[:truth], *one[truth + 1 :]] for one in (names, *rows)])
    return {place for place, row in enumerate(rows) if row[truth] == "1"}


def write_photos(folder: Path) -> None:
    """The demo's photos of plates."""
    folder.mkdir()
    for place, one in enumerate(plates()):
        Image.fromarray(one.photo).save(folder / f"plate-{place:03}.png")


def write_series(path: Path) -> None:
    """A sensor's values every ten minutes, with a fault."""
    values = with_fault(made("periodic", 0, 6_000), slice(3_000, 3_030), "noise", np.random.default_rng(0))[:, 0]
    times = np.datetime64("2026-01-01") + np.arange(len(values)) * np.timedelta64(10, "m")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("when", "pressure"), *zip(times.tolist(), values.round(4).tolist(), strict=True)])


@contextmanager
def reviewed(folder: Path, data: str, *options: str) -> Iterator[str]:
    """The address of a review of a file or folder, which ends afterwards."""
    expose = [sys.executable, "-m", "expose"]
    subprocess.run([*expose, "fit", data, *options, "--out", f"{data}.model", "--quiet"], check=True, cwd=folder)
    command = [*expose, "review", f"{data}.model", data, "--reviewer", "Ada", "--json", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.send_signal(signal.SIGINT)


def opened(browser: Any, url: str, theme: str, width: int, height: int) -> Any:
    """A page in a window of a size and theme."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        device_scale_factor=SCALE,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url)
    return page


def answer(page: Any, is_odd: Any, count: int = ANSWERED) -> None:
    """Answer by keys what is asked."""
    for _ in range(count):
        row = page.locator(".subject").get_attribute("data-row")
        page.keyboard.press("a" if is_odd(int(row)) else "n")
        page.wait_for_selector(f'.saved a[href="/?row={row}"]')


def shot(page: Any) -> Image.Image:
    """What the window shows."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(SOONEST)
    return Image.open(BytesIO(page.screenshot())).convert("RGB")


def whole(page: Any, path: Path) -> None:
    """Save what the window shows."""
    save(shot(page), path)


def beside(pictures: list[Image.Image], path: Path) -> None:
    """Save pictures of one height beside each other."""
    wide = sum(one.width for one in pictures) + GAP * (len(pictures) - 1)
    canvas, left = Image.new("RGB", (wide, pictures[0].height), BETWEEN), 0
    for one in pictures:
        canvas.paste(one, (left, 0))
        left += one.width + GAP
    save(canvas, path)


def save(picture: Image.Image, path: Path) -> None:
    """Save a picture small."""
    if path.suffix == ".jpg":
        picture.save(path, quality=85, optimize=True)
    else:
        picture.quantize(COLOURS).save(path, optimize=True)


STUDY = Drawing("review_picture", "pictures of a review in the browser, for the README and the guide", draw)
