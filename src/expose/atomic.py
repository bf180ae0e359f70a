"""Write a file or a folder whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def all_or_nothing(target: Path) -> Iterator[Path]:
    """Give a fresh name beside `target` to write to; on any failure remove it, and the parents made for it.

    The caller writes there, and renames it to `target` when it is complete.

    Parameters
    ----------
    target : Path
        Absolute. Missing parents are made.

    Yields
    ------
    Path
        A name in the same folder, free to be made a file or a folder.

    Raises
    ------
    OSError
        If writing failed: the same class of error, with a message that names `target`.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "new" / "page.html"
    >>> with all_or_nothing(target) as draft:
    ...     write_new(draft, b"<p>hello")
    ...     _ = draft.replace(target)
    >>> target.read_text()
    '<p>hello'
    """
    made = [place for place in target.parents if not place.exists()]
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield draft
    except BaseException as error:
        remove(draft)
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()
        if isinstance(error, OSError):
            raise _kind(error, target) from error
        raise


def _kind(error: OSError, target: Path) -> OSError:
    """Say what could not be written and why, as the same sort of error (PermissionError stays one)."""
    reason = f"{error.strerror or error}. Nothing was left behind; free some space or choose another place"
    return type(error)(error.errno, f"Cannot write {target}: {reason}")


def remove(draft: Path) -> None:
    """Remove a file or a whole folder if it is there; never fail."""
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            draft.unlink()


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, and wait until the disk has it."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
