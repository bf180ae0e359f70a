"""Where the bytes of a file come from, unpacked: a path, a stream that is read only once, a member of an archive."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from expose.errors import InputError
from expose.stores import Place, Stored, StoreError

_HEAD: Final = 6  # bytes that tell how a file is packed
_UNPACKERS: Final[dict[bytes, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda packed: pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd"),
}


class Origin:
    """One file, to be opened again and again.

    Attributes
    ----------
    label : str
        Its name in messages.
    path : Path, Stored or None
        Where it lies, unless it is read from a stream or an archive.
    once : bool
        Whether it can be read only once: then `head` keeps what it saw for the one `opened` that follows.
    """

    def __init__(self, label: str, open_: Callable[[], Any], path: Place | None = None, once: bool = False) -> None:
        self.label, self.once = label, once
        self._open, self.path = open_, path
        self._kept: _Kept | None = None
        self._how: tuple[Callable[[IO[bytes]], Any] | None] | None = None  # looked at once: that may be over a network

    def head(self, size: int) -> bytes:
        """The first bytes, unpacked."""
        with self._unpacked(keep=True) as stream:
            return _exactly(stream, size)

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """A stream of all bytes, unpacked."""
        with self._unpacked(keep=False) as stream:
            yield io.BufferedReader(stream) if not isinstance(stream, io.BufferedIOBase) else stream

    @property
    def is_packed(self) -> bool:
        """Whether reading unpacks it."""
        return self._unpacker() is not None

    def _unpacker(self) -> Callable[[IO[bytes]], Any] | None:
        if self._how is None:
            with self._packed(keep=True) as stream:
                head = _exactly(stream, _HEAD)
            self._how = (next((open_ for magic, open_ in _UNPACKERS.items() if head.startswith(magic)), None),)
        return self._how[0]

    @contextmanager
    def _unpacked(self, keep: bool) -> Iterator[Any]:
        unpacker = self._unpacker()
        with self._packed(keep) as packed:
            if unpacker is None:
                yield packed
                return
            try:
                with unpacker(packed) as stream:
                    yield stream
            except (EOFError, OSError, lzma.LZMAError, zlib.error, pa.ArrowException) as error:
                if getattr(error, "errno", None) is not None:  # the system's, not of unpacking
                    raise
                message = f"{self.label}: the packed file is damaged or cut short: {error}. Fetch it again."
                raise InputError(message) from error

    @contextmanager
    def _packed(self, keep: bool) -> Iterator[Any]:
        try:
            if self.once:
                self._kept = self._kept or _Kept(self._open())
                self._kept.rewind(keep)
                yield io.BufferedReader(self._kept)
            else:
                with self._open() as stream:
                    yield stream
        except FileNotFoundError:
            raise
        except StoreError as error:
            raise InputError(str(error)) from error
        except OSError as error:
            raise InputError(f"{self.label}: cannot be read: {error.strerror or error}.") from error


class _Kept(io.RawIOBase):
    """A stream that can be read only once, with its first bytes kept as long as somebody may want them again."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._first, self._at, self._keep = stream, bytearray(), 0, True

    def rewind(self, keep: bool) -> None:
        if not self._keep:
            raise RuntimeError("a stream that can be read only once was read already")
        self._at, self._keep = 0, keep

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """Stay open: what wraps it is closed sooner."""

    def readinto(self, buffer: Any) -> int:
        piece = bytes(self._first[self._at : self._at + len(buffer)])
        if not piece:
            read = getattr(self._stream, "read1", self._stream.read)
            piece = read(len(buffer))
            if self._keep:
                self._first += piece
            else:
                self._first = bytearray()
                self._at = -len(piece)
        self._at += len(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def _exactly(stream: Any, size: int) -> bytes:
    """Read so many bytes, fewer only at the end: a pipe gives them in pieces."""
    found = b""
    while len(found) < size and (piece := stream.read(size - len(found))):
        found += piece
    return found


def of_path(path: Place) -> Origin:
    """A file, an object in a store, or a named pipe, which is opened once."""
    if isinstance(path, Stored):
        return Origin(str(path), path.open, path)
    once = not path.is_file()
    return Origin(str(path), lambda: path.open("rb"), None if once else path, once)


def of_stdin() -> Origin:
    """Standard input."""
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input is closed, so there is nothing to read from '-'. Name a file, or pipe one in.")
    return Origin("standard input", lambda: sys.stdin.buffer, once=True)


def at_random(origin: Origin) -> Origin:
    """The same bytes, unpacked, where they can be read here and there: as they lie, else `spooled`."""
    return origin if origin.path is not None and not origin.is_packed else spooled(origin)


def spooled(origin: Origin) -> Origin:
    """The same bytes as a file of its own, unpacked, for formats that are not read from one end to the other."""
    if isinstance(origin.path, Path) and not origin.is_packed:
        return origin
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115  # it goes when the origin does, which holds it
    with origin.opened() as stream:
        shutil.copyfileobj(stream, file)
    file.flush()
    return Origin(origin.label, lambda: open(file.name, "rb"), Path(file.name))


def names_in(archive: Origin) -> list[str]:
    """Names of the files in a zip archive."""
    with _unzipped(archive) as packed:
        return [one.filename for one in packed.infolist() if not one.is_dir()]


def of_members(archive: Origin, wanted: Callable[[str], bool]) -> list[Origin]:
    """The data files in a zip archive; where no name says that it is one, all files that are not hidden."""
    names = [name for name in names_in(archive) if not _is_hidden(name)]
    chosen = [name for name in names if wanted(name)] or names
    if not chosen:
        raise InputError(f"{archive.label}: the archive holds no file. Expected one data file in it, or several alike.")
    return [_member(archive, name) for name in sorted(chosen)]


@contextmanager
def _unzipped(archive: Origin) -> Iterator[zipfile.ZipFile]:
    try:
        with archive.opened() as stream, zipfile.ZipFile(stream) as packed:
            yield packed
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        message = f"{archive.label}: the archive is damaged or cut short: {error}. Fetch it again."
        raise InputError(message) from error


def _member(archive: Origin, name: str) -> Origin:
    @contextmanager
    def open_() -> Iterator[Any]:
        with _unzipped(archive) as packed, _without_password(packed, archive.label, name) as file:
            yield file

    return Origin(f"{archive.label}: {name}", open_)


def _without_password(packed: zipfile.ZipFile, label: str, name: str) -> IO[bytes]:
    try:
        return packed.open(name)
    except (RuntimeError, NotImplementedError) as error:  # zipfile has no class of its own for these
        raise InputError(f"{label}: {name} cannot be unpacked: {error}. Unpack the archive first.") from error


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))
