"""Download one file over HTTP: resumed where it stopped, retried with growing pauses."""

from __future__ import annotations

import contextlib
import errno
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from expose.atomic import remove

CHUNK = 1 << 18
TEMPORARY = (408, 425, 429)  # refusals that may pass; so may 500 and up
OUR_DISK = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EISDIR, errno.ENOTDIR)

Progress = Callable[[int, int | None], None]


class RefusedError(OSError):
    """The server has answered, and another try would be answered alike."""


def download(
    url: str,
    part: Path,
    *,
    attempts: int = 5,
    timeout: float = 30.0,
    sleep: Callable[[float], object] = time.sleep,
    progress: Progress | None = None,
) -> None:
    """Download a file to `part`, going on where an earlier download stopped.

    What lies in `part` is kept on failure. It is continued only if the server says that the file is still the
    one it was (by its ETag, kept beside `part`); otherwise the download starts anew.

    Parameters
    ----------
    url : str
        Beginning with ``http``.
    part : Path
        Where the bytes go; parents are made.
    attempts : int
        How often to try. The pauses between are 1, 2, 4, ... seconds.
    timeout : float
        Seconds without a byte after which a connection counts as dead.
    sleep : callable
        Called with the seconds of each pause.
    progress : callable, optional
        Called with the bytes that are here, and with those of the whole file or None if the server did not say.

    Raises
    ------
    RefusedError
        If the file is not there, or the server does not give it.
    OSError
        If every attempt failed, or the disk is full.
    """
    failure: Exception | None = None
    for attempt in range(attempts):
        if attempt:
            sleep(2.0 ** (attempt - 1))
        try:
            return _go_on(url, part, timeout, progress)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # nothing follows what is here
                if error.headers.get("Content-Range") == f"bytes */{part.stat().st_size}":
                    return None
                _forget(part)
            elif error.code < 500 and error.code not in TEMPORARY:
                raise RefusedError(f"{url} answers {error.code} {error.reason}") from None
            failure = error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in OUR_DISK:
                raise
            failure = error
    raise OSError(
        f"Cannot download {url} in {attempts} attempts: {failure}. What has arrived is kept; "
        "try again to go on from there."
    )


def tag_of(part: Path) -> Path:
    """Return the file that keeps the server's mark of what lies in `part`."""
    return part.with_name(f"{part.name}.etag")


def discard(part: Path) -> None:
    """Remove what a download left."""
    _forget(part)
    with contextlib.suppress(OSError):
        part.parent.rmdir()  # only if nothing else is there


def _forget(part: Path) -> None:
    remove(part)
    remove(tag_of(part))


def _go_on(url: str, part: Path, timeout: float, progress: Progress | None) -> None:
    here, tag = _what_is_here(part)
    headers = {"Range": f"bytes={here}-", "If-Range": tag} if here else {}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {here}-")
        if answer.status == 206 and not resumed:
            _forget(part)
            raise ConnectionError(f"asked for the bytes from {here}, got {answer.headers.get('Content-Range')}")
        if not resumed:
            here = 0
            _forget(part)
            part.parent.mkdir(parents=True, exist_ok=True)
            tag_of(part).write_text(_strong_tag(answer.headers), encoding="latin-1")
        length = answer.headers.get("Content-Length")
        whole = here + int(length) if length is not None else None
        with part.open("ab") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                here += len(chunk)
                if progress is not None:
                    progress(here, whole)
    if whole is not None and here != whole:
        raise ConnectionError(f"the connection ended after {here:,} of {whole:,} bytes")


def _what_is_here(part: Path) -> tuple[int, str]:
    """Bytes that can be continued, and the mark of the file they belong to; 0 where there is no such mark."""
    try:
        tag = tag_of(part).read_text(encoding="latin-1")
        return (part.stat().st_size, tag) if tag else (0, "")
    except FileNotFoundError:
        return 0, ""


def _strong_tag(headers: http.client.HTTPMessage) -> str:
    """A mark that changes with every byte of the file: weak ETags and dates do not promise that."""
    tag: str = headers.get("ETag", "")
    return "" if tag.startswith("W/") else tag
