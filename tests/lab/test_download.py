"""Downloads against a server of our own that drops connections, lies and changes its mind."""

from __future__ import annotations

import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from expose.errors import InputError, MissingExtraError
from expose_lab import fetch, load
from expose_lab.datasets.fetching import download, git_blob_id
from expose_lab.datasets.registry import Entry, Source, digest

pooch = pytest.importorskip("pooch", reason="needs the extra bench")
CONTENT = np.random.default_rng(0).bytes(700_000)


@dataclass
class Origin:
    """What the server holds and how it behaves, and how often it was asked."""

    content: bytes = CONTENT
    statuses: list[int] = field(default_factory=list)  # answered first, one per request
    drops: list[int] = field(default_factory=list)  # bytes after which a request's connection is dropped
    says_length: bool = True
    url: str = ""
    asked: int = 0

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked += 1
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return request.send_error(status)
        request.send_response(200)
        if self.says_length:
            request.send_header("Content-Length", str(len(self.content)))
        request.end_headers()
        request.wfile.write(self.content[: self.drops.pop(0)] if self.drops else self.content)


@pytest.fixture
def origin() -> Iterator[Origin]:
    held = Origin()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        held.url = f"http://127.0.0.1:{server.server_port}/set.mat"
        yield held
        server.shutdown()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pooch waits between two attempts."""
    monkeypatch.setattr(pooch.core.time, "sleep", lambda _: None)


def test_a_download_is_whole_and_shows_its_progress(origin: Origin, tmp_path: Path) -> None:
    class Meter:
        total, seen = 0, 0

        def update(self, size: int) -> None:
            self.seen += size

        def reset(self) -> None:
            self.seen = 0

        def close(self) -> None:
            pass

    meter = Meter()
    assert download(origin.url, tmp_path / "new", meter).read_bytes() == CONTENT
    assert (origin.asked, meter.total) == (1, len(CONTENT))


def test_what_fails_is_tried_again(origin: Origin, tmp_path: Path) -> None:
    origin.statuses, origin.drops = [500, 429, 200], [300_000]
    assert download(origin.url, tmp_path).read_bytes() == CONTENT
    assert origin.asked == 4


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_told_and_leaves_nothing(origin: Origin, status: int, tmp_path: Path) -> None:
    origin.statuses = [status] * 9
    with pytest.raises(InputError, match=rf"answers {status}"):
        download(origin.url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="refused"):
        download("http://127.0.0.1:9/x", tmp_path)


def test_without_pooch_the_extra_is_named(toy: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'expose\[bench\]'"):
        fetch(toy, tmp_path)


# From here on: fetch.

X = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
Y = (np.arange(20) < 3).astype(np.int8)


@pytest.fixture
def toy(origin: Origin, tmp_path: Path) -> Entry:
    """An entry whose origin is the server."""
    savemat(tmp_path / "toy.mat", {"X": X.astype(np.float64), "y": Y[:, None].astype(np.float64)})
    origin.content = (tmp_path / "toy.mat").read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(origin.content) + origin.content).hexdigest()[:12]
    (tmp_path / "toy.mat").unlink()
    source = Source(origin.url, "mat", blob)
    return Entry("toy", "extra", 20, 3, 3, "the first", "CC0", "nobody", (source,), digest(X, Y))


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_fetch_puts_a_verified_table_where_load_finds_it(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    origin.drops = [100]
    path = fetch(toy, tmp_path)
    assert path == tmp_path / "tabular" / "toy.npz"
    assert everything(tmp_path) == ["tabular/toy.npz"]
    assert not (tmp_path / "downloads").exists()
    np.testing.assert_array_equal(load("toy", tmp_path).X, X)
    np.testing.assert_array_equal(load("toy", tmp_path).y, Y)


def test_what_is_here_is_verified_and_not_downloaded(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    fetch(toy, tmp_path)
    fetch(toy, tmp_path)
    assert origin.asked == 1
    np.savez(tmp_path / "tabular" / "toy.npz", X=X + 1, y=Y)
    with pytest.raises(InputError, match=r"toy\.npz is not the data set 'toy'.*not the values"):
        fetch(toy, tmp_path)
    assert origin.asked == 1


def test_other_bytes_at_the_origin_are_refused(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    savemat(tmp_path / "toy.mat", {"X": X + 1, "y": Y})
    origin.content = (tmp_path / "toy.mat").read_bytes()
    (tmp_path / "toy.mat").unlink()
    with pytest.raises(InputError, match="git blob id should begin"):
        fetch(toy, tmp_path)
    assert everything(tmp_path) == []
    unmarked = replace(toy, sources=(replace(toy.sources[0], blob=""),))
    with pytest.raises(InputError, match=r"no longer holds.*not the values.*If you have the set from elsewhere"):
        fetch(unmarked, tmp_path)
    assert everything(tmp_path) == []


def test_a_page_instead_of_the_file_is_refused(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    origin.content = b"<html>Please log in"
    unmarked = replace(toy, sources=(replace(toy.sources[0], blob=""),))
    with pytest.raises(InputError, match="not the mat file it should be"):
        fetch(unmarked, tmp_path)
    assert everything(tmp_path) == []


def test_a_truncated_answer_without_a_length_is_refused(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    origin.says_length, origin.drops = False, [200]
    with pytest.raises(InputError, match="git blob id"):
        fetch(toy, tmp_path)
    assert everything(tmp_path) == []


def test_a_network_that_fails_leaves_nothing(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    origin.drops = [10] * 9
    with pytest.raises(OSError, match="broken"):
        fetch(toy, tmp_path)
    assert everything(tmp_path) == []
    origin.drops = []
    fetch(toy, tmp_path)
    assert everything(tmp_path) == ["tabular/toy.npz"]


def test_the_next_origin_is_tried(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    origin.statuses = [404] * 5
    twice = replace(toy, sources=(toy.sources[0], replace(toy.sources[0], url=f"{origin.url}?other")))
    assert fetch(twice, tmp_path) is not None
    assert origin.asked == 6  # five times the first, once the second


def test_a_full_disk_leaves_nothing_under_the_name(toy: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        fetch(toy, tmp_path)
    assert [name for name in everything(tmp_path) if not name.startswith("downloads")] == []


def test_what_needs_no_download(tmp_path: Path) -> None:
    assert fetch("mulcross", tmp_path) is None
    thyroid = fetch("thyroid", tmp_path)
    assert thyroid is not None
    assert thyroid.name == "thyroid.csv.gz"
    with pytest.raises(InputError, match=r"not available.*speech\.npz"):
        fetch("speech", tmp_path)
    with pytest.raises(InputError, match=r"Did you mean glass\?"):
        fetch("glas", tmp_path)


def test_git_blob_id(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert git_blob_id(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_a_matlab_file_of_version_7_3_says_what_it_needs(
    toy: Entry, origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    origin.content = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400)
    unmarked = replace(toy, sources=(replace(toy.sources[0], blob=""),))
    with pytest.raises(InputError, match="pip install h5py"):
        fetch(unmarked, tmp_path)
    assert everything(tmp_path) == []
