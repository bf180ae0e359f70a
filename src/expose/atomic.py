"""The one way to write a file: whole or not at all, by one process at a time, with nothing left behind.

A file is written under a hidden name beside its own, its draft, and renamed when it is complete. Whoever writes
holds a lock, which the system takes back from a process that is killed. So a draft that is found by the holder
of the lock is a dead one, and is removed.

An object store takes a file as one by itself, and knows no locks: there the last writer's stays. The draft lies in a
temporary folder of this machine.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from expose.stores import Place, Stored

PATIENCE = 60.0  # seconds to wait for another process that writes the same file
DRAFT, LOCK = ".expose-draft", ".expose-lock"

_ADVICE = {
    errno.ENOSPC: "Free some space, or choose another place",
    errno.EDQUOT: "Free some space, or choose another place",
    errno.EBUSY: "Wait for it to end, or choose another name",
}
_NO_LOCKS_HERE = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}


@contextlib.contextmanager
def all_or_nothing(target: Place, part_of: Place | None = None) -> Iterator[Path]:
    """Give a free name beside `target` to write to; on any failure remove it, and the parents made for it.

    The caller writes there, and gives it to `publish` when it is complete. `whole_file` does that by itself.

    Parameters
    ----------
    target : Path or Stored
        Absolute. Missing parents are made.
    part_of : Path or Stored, optional
        The folder that is written as one with `target`, for messages to name it.

    Yields
    ------
    Path
        A name in the same folder, which no other process gets at the same time; in a temporary one for an object store.

    Raises
    ------
    OSError
        If writing failed: the same class of error, with a message that names `target`. Also if another process
        has been writing `target` for `PATIENCE` seconds. An error of the caller's that names another file, say
        one that is read meanwhile, passes as it is.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "new" / "page.html"
    >>> with all_or_nothing(target) as draft:
    ...     _ = draft.write_text("<p>hello")
    ...     publish(draft, target)
    >>> target.read_text()
    '<p>hello'
    """
    if isinstance(target, Stored):
        with _elsewhere(target) as draft:
            yield draft
        return
    made = [place for place in target.parents if not place.exists()]
    draft = beside(target, DRAFT)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(target):
            remove(draft)  # of a writer that was killed: a living one would hold the lock
            try:
                yield draft
            finally:
                remove(draft)
    except BaseException as error:
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()
        whole = part_of if isinstance(part_of, Path) else target
        if isinstance(error, OSError) and _is_about(error, target, whole):
            raise _kind(error, whole) from error
        raise


@contextlib.contextmanager
def whole_file(target: Place) -> Iterator[IO[bytes]]:
    """Open a binary file that appears under its name only when all is written and on the disk.

    Parameters and errors are those of `all_or_nothing`. A file that is there is replaced at the end.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "page.html"
    >>> with whole_file(target) as file:
    ...     _ = file.write(b"<p>hello")
    ...     target.exists()
    False
    >>> target.read_text()
    '<p>hello'
    """
    with all_or_nothing(target) as draft:
        with draft.open("xb") as file:
            yield file
        publish(draft, target)


def publish(draft: Path, target: Place) -> None:
    """Give a complete draft its name, in one step and for good: not even a power cut makes it half a file."""
    if isinstance(target, Stored):
        target.upload(draft)
        return
    sync(draft)
    draft.replace(target)
    sync(target.parent)


def put(content: bytes, target: Place) -> None:
    """Write a file whole, under a lock that is held already: that of `all_or_nothing` for its folder, say."""
    if isinstance(target, Stored):
        target.write_bytes(content)
        return
    draft = beside(target, DRAFT)
    remove(draft)
    with draft.open("xb") as file:
        file.write(content)
    publish(draft, target)


def sync(path: Path) -> None:
    """Wait until the disk has the contents of a file, or the names in a folder where the system can tell."""
    folder = path.is_dir()
    # Windows opens no folder, and some network drives sync none
    with contextlib.suppress(OSError) if folder else contextlib.nullcontext():
        handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove(path: Place) -> None:
    """Remove a file or a whole folder if it is there; never fail. In an object store a file."""
    if isinstance(path, Path) and path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def beside(target: Path, ending: str) -> Path:
    """Return the hidden name beside `target` of its draft or its lock."""
    return target.with_name(f".{target.name}{ending}")


@contextlib.contextmanager
def _elsewhere(target: Stored) -> Iterator[Path]:
    """Give a name in a temporary folder for what will be sent to a store."""
    with tempfile.TemporaryDirectory(prefix="expose-") as folder:
        try:
            yield Path(folder) / target.name
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            place = Path(folder).parent
            text = (
                f"Cannot write {target}: it is put together in {place}, where no space is left. Set TMPDIR to another"
            )
            raise OSError(error.errno, text) from error


@contextlib.contextmanager
def _exclusive(target: Path) -> Iterator[None]:
    """Keep all other writers of `target` away, in this process and in others."""
    path = beside(target, LOCK)
    file = _locked(path)
    try:
        yield
    finally:
        # While it is still ours: were it removed after, then perhaps under the feet of the next one.
        remove(path)
        file.close()
        if sys.platform == "win32":  # it removes no open file; and after this none that another one has opened
            remove(path)


def _locked(path: Path) -> IO[bytes]:
    """Open and lock a file, and wait for it while another process has it."""
    end = time.monotonic() + PATIENCE
    while True:
        file = _opened(path)
        # The one before us removes the file and then lets go of it. To lock what has lost its name locks nobody out.
        if _lock(file) and _is_named(file, path):
            return file
        file.close()
        if time.monotonic() > end:
            raise OSError(errno.EBUSY, f"another process has been writing it for {PATIENCE:g} seconds")
        time.sleep(0.01)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("ab")
    except PermissionError:
        if not path.exists():
            raise
        return path.open("rb")  # another user's, perhaps of a killed process: it can be locked all the same


def _lock(file: IO[bytes]) -> bool:
    """Try to lock an open file, until it is closed or the process ends, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some clusters' drives know no locks. A single writer needs none, and is not to be stopped there.
        return error.errno in _NO_LOCKS_HERE
    return True


def _is_named(file: IO[bytes], path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _is_about(error: OSError, target: Path, whole: Path) -> bool:
    """Whether an error tells of writing `target`, and not of a file that the caller reads meanwhile."""
    if error.errno is None:  # raised by the caller, and not by the system
        return False
    if not isinstance(error.filename, str):
        return True
    path = Path(error.filename)
    ours = {target, beside(target, DRAFT), beside(target, LOCK), *target.parents}
    return path in ours or path.is_relative_to(whole)


def _kind(error: OSError, target: Path) -> OSError:
    """Say what could not be written and why, as the same sort of error (PermissionError stays one)."""
    advice = _ADVICE.get(error.errno or 0, "Choose another place")
    return OSError(error.errno or errno.EIO, f"Cannot write {target}: {error.strerror or error}. {advice}")
