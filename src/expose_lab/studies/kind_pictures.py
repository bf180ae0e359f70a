"""Pictures of reports on a log and on texts, for their pages: what is shown of the first suspects.

The log is the one of the study ``logs``, the texts are messages to a shop with two others among them. Needs what
``report_picture`` needs, and the extra ``text``.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from expose_lab.studies.base import Drawing
from expose_lab.studies.logs import app_log
from expose_lab.studies.report_picture import take

PAGE = "report.html"
LAST = 2  # suspects that are shown
BEFORE = "for (const id of ['summary', 'scores', 'lines']) document.getElementById(id).hidden = true"
OPENED = "; document.querySelectorAll('.suspects details').forEach((one, place) => { one.open = place < 2 })"
MESSAGES = (
    "where is my parcel?",
    "the box arrived damaged.",
    "can I return the shoes?",
    "when will the refund be paid?",
    "please change my address.",
    "the invoice shows a wrong price.",
)
STRAY = ("Congratulations! You won a cruise. Claim it now.", "Does anybody know how tall the Eiffel tower is?")


def draw(results: Path, docs: Path) -> None:
    """Both pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.log").write_text("\n".join(app_log(400, 0.02)[0]))
        report(folder, "app.log")
        take(folder / PAGE, docs / "images" / "report-log.png", BEFORE + OPENED, LAST)
        write_messages(folder / "tickets.csv")
        report(folder, "tickets.csv", "--text", "message", "--id", "ticket")
        take(folder / PAGE, docs / "images" / "report-texts.png", BEFORE + OPENED, LAST)


def write_messages(path: Path) -> None:
    """Messages to a shop, and some that are none."""
    greetings = ("Hello,", "Good morning,", "Hi there,", "Dear team,", "Hi,")
    texts = [f"{word} {text} {end}" for word in greetings for text in MESSAGES for end in ("Thank you.", "Order 4711.")]
    for place, text in enumerate(STRAY):
        texts.insert(17 * (place + 1), text)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("ticket", "message"), *((f"T{row}", text) for row, text in enumerate(texts))])


def report(folder: Path, data: str, *options: str) -> None:
    """Train on a file, and write the page."""
    for words in (["fit", data, *options, "--out", f"{data}.model"], ["report", f"{data}.model", data, "--out", PAGE]):
        subprocess.run([sys.executable, "-m", "expose", *words, "--quiet"], check=True, cwd=folder)


STUDY = Drawing("kind_pictures", "pictures of reports on a log and on texts", draw)
