"""Downloads against a server of our own that drops connections, lies and changes its mind."""

from __future__ import annotations

import hashlib
import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from expose.errors import InputError
from expose.evaluation import fetch, load
from expose.evaluation.download import RefusedError, download, tag_of
from expose.evaluation.fetching import git_blob_id
from expose.evaluation.registry import Entry, Source, digest

CONTENT = np.random.default_rng(0).bytes(700_000)


@dataclass
class Origin:
    """What the server holds and how it behaves, and what it was asked."""

    content: bytes = CONTENT
    tag: str | None = '"one"'
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)  # answered first, one per request
    drops: list[int] = field(default_factory=list)  # bytes after which a request's connection is dropped
    says_length: bool = True
    url: str = ""
    asked: list[str | None] = field(default_factory=list)  # the Range of each request

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers["Range"]
        self.asked.append(wanted)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return request.send_error(status)
        start = 0
        if wanted and self.ranges and request.headers["If-Range"] == self.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(self.content)}")
                request.send_header("Content-Length", "0")
                return request.end_headers()
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        else:
            request.send_response(200)
        body = self.content[start:]
        if self.says_length:
            request.send_header("Content-Length", str(len(body)))
        if self.tag:
            request.send_header("ETag", self.tag)
        request.end_headers()
        request.wfile.write(body[: self.drops.pop(0)] if self.drops else body)


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


@pytest.fixture
def pauses() -> list[float]:
    return []


Get = Callable[..., bytes]


@pytest.fixture
def get(origin: Origin, tmp_path: Path, pauses: list[float]) -> Get:
    def run(**options: object) -> bytes:
        part = tmp_path / "new" / "set.part"
        download(origin.url, part, sleep=pauses.append, **options)
        return part.read_bytes()

    return run


def test_a_plain_download_is_asked_for_once(get: Get, origin: Origin, pauses: list[float]) -> None:
    seen: list[tuple[int, int | None]] = []
    assert get(progress=lambda here, whole: seen.append((here, whole))) == CONTENT
    assert origin.asked == [None]
    assert pauses == []
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 1


def test_a_dropped_connection_is_resumed(get: Get, origin: Origin, pauses: list[float]) -> None:
    origin.drops = [300_000, 100_000]
    assert get() == CONTENT
    assert origin.asked == [None, "bytes=300000-", "bytes=400000-"]
    assert pauses == [1, 2]


def test_a_new_process_goes_on_where_the_last_one_stopped(get: Get, origin: Origin) -> None:
    origin.drops = [300_000]
    with pytest.raises(OSError, match=r"300,000 of 700,000 bytes.*try again"):
        get(attempts=1)
    assert get() == CONTENT
    assert origin.asked == [None, "bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_not_glued_together(get: Get, origin: Origin) -> None:
    origin.drops = [300_000]
    with pytest.raises(OSError, match="1 attempts"):
        get(attempts=1)
    origin.content, origin.tag = CONTENT[::-1], '"two"'
    assert get() == CONTENT[::-1]


@pytest.mark.parametrize("how", ["no ranges", "no tag", "weak tag"])
def test_where_nothing_can_be_resumed_it_starts_anew(get: Get, origin: Origin, how: str) -> None:
    origin.ranges = how != "no ranges"
    origin.tag = {"no ranges": '"one"', "no tag": None, "weak tag": 'W/"one"'}[how]
    origin.drops = [300_000]
    assert get() == CONTENT
    assert origin.asked == [None, "bytes=300000-" if how == "no ranges" else None]


def test_what_was_complete_is_not_downloaded_again(get: Get, origin: Origin) -> None:
    get()
    assert get() == CONTENT
    assert origin.asked == [None, f"bytes={len(CONTENT)}-"]


def test_more_than_the_file_is_thrown_away(get: Get, origin: Origin, tmp_path: Path) -> None:
    get()
    with (tmp_path / "new" / "set.part").open("ab") as file:
        file.write(b"more")
    assert get() == CONTENT


def test_pauses_grow_and_end(get: Get, origin: Origin, pauses: list[float]) -> None:
    origin.statuses = [500, 503, 429, 500, 200]
    assert get() == CONTENT
    assert pauses == [1, 2, 4, 8]
    origin.statuses = [500] * 9
    with pytest.raises(OSError, match="3 attempts: HTTP Error 500"):
        get(attempts=3)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_not_repeated_and_leaves_nothing(
    get: Get, origin: Origin, status: int, pauses: list[float], tmp_path: Path
) -> None:
    origin.statuses = [status]
    with pytest.raises(RefusedError, match=f"answers {status}"):
        get()
    assert pauses == []
    assert list(tmp_path.iterdir()) == []


def test_nobody_there(tmp_path: Path, pauses: list[float]) -> None:
    with pytest.raises(OSError, match=r"2 attempts.*refused"):
        download("http://127.0.0.1:9/x", tmp_path / "x.part", attempts=2, sleep=pauses.append)
    assert pauses == [1]


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
    path = fetch(toy, tmp_path, sleep=lambda _: None)
    assert path == tmp_path / "tabular" / "toy.npz"
    assert everything(tmp_path) == ["tabular/toy.npz"]
    assert not (tmp_path / "downloads").exists()
    np.testing.assert_array_equal(load("toy", tmp_path).X, X)
    np.testing.assert_array_equal(load("toy", tmp_path).y, Y)


def test_what_is_here_is_verified_and_not_downloaded(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    fetch(toy, tmp_path)
    fetch(toy, tmp_path)
    assert len(origin.asked) == 1
    np.savez(tmp_path / "tabular" / "toy.npz", X=X + 1, y=Y)
    with pytest.raises(InputError, match=r"toy\.npz is not the data set 'toy'.*not the values"):
        fetch(toy, tmp_path)
    assert len(origin.asked) == 1


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


def test_a_network_that_fails_leaves_only_the_part(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    origin.drops = [10] * 9
    with pytest.raises(OSError, match="5 attempts"):
        fetch(toy, tmp_path, sleep=lambda _: None)
    assert [Path(name).parent.name for name in everything(tmp_path)] == ["downloads", "downloads"]
    part = next((tmp_path / "downloads").glob("*.part"))
    assert part.stat().st_size == 50
    assert tag_of(part).is_file()
    origin.drops = []
    fetch(toy, tmp_path)
    assert everything(tmp_path) == ["tabular/toy.npz"]


def test_the_next_origin_is_tried(toy: Entry, origin: Origin, tmp_path: Path) -> None:
    origin.statuses = [404]
    twice = replace(toy, sources=(toy.sources[0], replace(toy.sources[0], url=f"{origin.url}?other")))
    assert fetch(twice, tmp_path) is not None
    assert len(origin.asked) == 2


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
