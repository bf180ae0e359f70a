"""Take the picture of a report that the README and the guide begin with: the demo's page in headless Chromium.

    python benchmarks/report_picture.py

Runs ``expose demo`` (under a minute), opens its page in the light theme and saves the upper part as
docs/images/report.png. Needs Chromium, the extra ``report``, and the browser driver of the tests.
"""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "report"))
from chromium import Browser  # noqa: E402  (the tests are no package)

WIDTH, SCALE = 1100, 1.165  # of the window in its own pixels; each is drawn by 1.165 of the picture's
LAST = 5  # the picture ends below this suspect


def take(page: Path, target: Path, profile: Path) -> None:
    """Save ``page`` from its top to the last suspect shown."""
    with Browser(profile) as browser:
        browser.open(page, width=WIDTH, height=1400)
        browser.send(
            "Emulation.setDeviceMetricsOverride", width=WIDTH, height=1400, deviceScaleFactor=SCALE, mobile=False
        )
        browser.settle()
        bottom = browser.run(f"document.querySelectorAll('.suspects > li')[{LAST - 1}].getBoundingClientRect().bottom")
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": round(bottom), "scale": 1}
        shot = browser.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        target.write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Run the demo and take its picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, help="a report that is there already; default: run the demo")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "report.png")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.page is None:
            command = [sys.executable, "-m", "expose", "demo", "--quiet", "--out", "expose-demo"]
            subprocess.run(command, check=True, cwd=folder)
        page = options.page or Path(folder) / "expose-demo" / "expose-report.html"
        take(page, options.out, Path(folder) / "browser")
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
