"""The picture of a report that the README and the guide begin with: the demo's page in headless Chromium.

Runs ``expose demo`` (under a minute), opens its page in the light theme and saves its heading and the first of the
ranking, without the sections that stand before it. Needs a checkout with the browser driver of the tests, Chromium, and
the extra ``report``.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from expose_lab.studies.base import Drawing

WIDTH, SCALE = 1100, 1.165  # of the window in its own pixels; each is drawn by 1.165 of the picture's
COLOURS = 128  # of the picture, so that it is small
LAST = 1  # the picture ends below this suspect
BEFORE = "for (const id of ['summary', 'scores', 'lines']) document.getElementById(id).hidden = true"


def draw(results: Path, docs: Path) -> None:
    """Run the demo and take its picture from the top to the last suspect shown."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "expose", "demo", "--quiet", "--out", "expose-demo"]
        subprocess.run(command, check=True, cwd=folder)
        take(Path(folder) / "expose-demo" / "expose-report.html", docs / "images" / "report.png", BEFORE, LAST)


def take(page: Path, picture: Path, before: str, last: int) -> None:
    """Save a report as a picture down to the last suspect that it shall show, after a script was run."""
    sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "report"))
    with tempfile.TemporaryDirectory() as folder, import_module("chromium").Browser(Path(folder)) as browser:
        browser.open(page, width=WIDTH, height=1400)
        size: dict[str, Any] = {"width": WIDTH, "height": 1400, "deviceScaleFactor": SCALE, "mobile": False}
        browser.send("Emulation.setDeviceMetricsOverride", **size)
        browser.run(before)
        browser.settle()
        bottom = browser.run(
            f"document.querySelectorAll('.suspects > li:not(.mark)')[{last - 1}].getBoundingClientRect().bottom"
        )
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": round(bottom), "scale": 1}
        shot = browser.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    whole = Image.open(BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    whole.quantize(COLOURS).save(picture, optimize=True)


STUDY = Drawing("report_picture", "the picture of a report, for the README", draw)
