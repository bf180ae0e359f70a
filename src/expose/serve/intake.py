"""Bodies of requests as files in a private folder, so that kinds read them as they read all files.

What a body may unpack to is bounded before it is unpacked, and nothing in it can name a file of this machine.
"""

from __future__ import annotations

import codecs
import json
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, NamedTuple

import pyarrow as pa

from expose.errors import InputError, MissingExtraError
from expose.files import column_names, read
from expose.files.lines import COLUMN as TEXT
from expose.kinds.base import Kind, Reading
from expose.kinds.image_files import file_head
from expose.kinds.text_sources import LINES as EACH_LINE
from expose.serve.binary import arrow_to_parquet, check_cells, check_parquet
from expose.serve.limits import Limits
from expose.serve.places import Folders
from expose.serve.problems import Problem, too_large

JSON, NDJSON, CSV, TSV = "application/json", "application/x-ndjson", "text/csv", "text/tab-separated-values"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
LINES, FILES = "text/plain", "multipart/form-data"
NAMES: Final = {  # what the file is called that a body becomes
    JSON: "rows.json",
    NDJSON: "rows.jsonl",
    CSV: "rows.csv",
    TSV: "rows.tsv",
    ARROW: "rows.parquet",
    PARQUET: "rows.parquet",
    LINES: "lines.txt",
}
BY_FORM: Final = {"rows": (JSON, CSV, TSV, NDJSON, ARROW, PARQUET), "lines": (LINES,), "files": (FILES,)}
ALSO: Final = {
    "application/jsonl": NDJSON,
    "application/x-jsonlines": NDJSON,
    "application/csv": CSV,
    "application/x-parquet": PARQUET,
    "application/parquet": PARQUET,
}
TABLES: Final = (".csv", ".tsv", ".json", ".jsonl", ".parquet")  # among files those that list others
PIECE: Final = 2**16
TOP: Final = 20  # lines among which the names of the columns stand
PACKED: Final = (
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"7z\xbc\xaf",
    b"\xd0\xcf\x11\xe0",
)


class Sent(NamedTuple):
    """What a request brought: its bytes, or files with their names; of what media type, in which encoding."""

    media: str
    body: IO[bytes] | None = None
    files: Sequence[tuple[str, IO[bytes]]] = ()
    charset: str | None = None
    gzipped: bool = False

    def close(self) -> None:
        """Let go of it."""
        for stream in (self.body, *(stream for _, stream in self.files)):
            with suppress(Exception):
                if stream is not None:
                    stream.close()


class Taken(NamedTuple):
    """Files of a request: what is read of their folder, and how."""

    folder: Path
    sources: list[str]
    reading: Reading

    def unnamed(self, text: str) -> str:
        """A message without the folder."""
        return text.replace(f"{self.folder}/", "").replace(str(self.folder), "the request")


def media_of(kind: Kind, reading: Reading) -> tuple[str, ...]:
    """The media types in which samples may come."""
    return tuple(media for form in kind.sent(reading) for media in BY_FORM[form])


def check_media(kind: Kind, reading: Reading, content_type: str, encoding: str) -> Sent:
    """What the headers say of a body.

    Raises
    ------
    Problem
        415, with what the kind takes.
    """
    media, given = parsed_type(content_type)
    media = ALSO.get(media, media)
    known = media_of(kind, reading)
    if media not in known:
        got = f"got {media!r}" if media else "there is no Content-Type"
        raise Problem(415, f"this model scores {kind.plural}, which come as {' or '.join(known)}; {got}.")
    packing = encoding.strip().lower()
    if packing not in ("", "identity", "gzip") or (packing == "gzip" and media == FILES):
        raise Problem(
            415,
            f"Content-Encoding {packing!r} is not unpacked here{' for files' * (media == FILES)}; send "
            "the body as it is" + (", or packed by gzip." if media != FILES else "."),
        )
    charset = given.get("charset")
    if charset is not None and media in (JSON, NDJSON) and charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(415, f"{media} is read as utf-8, which JSON is always in; got {charset!r}. Write it anew.")
    if charset is not None and (media not in (CSV, TSV, LINES, JSON, NDJSON) or not is_encoding(charset)):
        raise Problem(415, f"there is no encoding {charset!r} of {media}; expected one such as utf-8 or latin-1.")
    return Sent(media, charset=charset, gzipped=packing == "gzip")


def parsed_type(content_type: str) -> tuple[str, dict[str, str]]:
    """A media type, and its parameters.

    >>> parsed_type('Text/CSV; charset="Latin-1"')
    ('text/csv', {'charset': 'Latin-1'})
    """
    media, *parameters = content_type.split(";")
    pairs = (one.partition("=") for one in parameters)
    return media.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def is_encoding(name: str) -> bool:
    """Whether it is one of text; Python has others, which unpack, or take hours for what they write in a few bytes.

    >>> [is_encoding(one) for one in ("utf-8", "cp1252", "zip", "punycode")]
    [True, True, False, False]
    """
    try:
        "".encode(name)
        return codecs.lookup(name).name not in _OF_NAMES
    except (LookupError, ValueError):
        return False


_OF_NAMES: Final = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "unicode-escape", "raw-unicode-escape")


# ---------------------------------------------------------------------------------------------- into a folder


@contextmanager
def taken(sent: Sent, kind: Kind, reading: Reading, limits: Limits, folders: Folders) -> Iterator[Taken]:
    """Files of a request in a folder of their own, as long as the block lasts.

    Raises
    ------
    Problem, InputError
        When more came than is allowed, or it is not what it is said to be.
    """
    with folders.one() as folder:
        written = from_files if sent.media == FILES else from_body
        try:
            found = written(sent, folder, kind, reading, limits)
        except InputError as error:
            raise InputError(Taken(folder, [], reading).unnamed(str(error))) from error
        yield found


def from_body(sent: Sent, folder: Path, kind: Kind, reading: Reading, limits: Limits) -> Taken:
    """A body as one file."""
    assert sent.body is not None
    data = unpacked(sent.body, limits) if sent.gzipped else sent.body.read()
    if not data:
        raise Problem(422, f"the body is empty; expected samples as {sent.media}.")
    if sent.media == LINES:
        reading = replace(reading, text=EACH_LINE)
    elif "lines" in kind.sent(reading) and reading.text in (None, EACH_LINE):
        reading = replace(reading, text=TEXT)
    if sent.charset is not None and sent.media not in (JSON, NDJSON):
        reading = replace(reading, dialect=replace(reading.dialect, encoding=sent.charset))
    path = folder / NAMES[sent.media]
    if sent.media == ARROW:
        arrow_to_parquet(data, path, limits)
    else:
        if sent.media == PARQUET:
            check_parquet(data, limits)
        elif sent.media in (JSON, NDJSON):
            data = checked_json(data, sent, reading, limits)
        else:
            check_unpacked(data, "the body", "Or send it with Content-Encoding: gzip.")
            if sent.media in (CSV, TSV):
                check_width(data, limits)
        path.write_bytes(data)
    return Taken(folder, [str(path)], reading)


def unpacked(body: IO[bytes], limits: Limits) -> bytes:
    """What gzip packed, as far as it is allowed to go."""
    found, unpacker = bytearray(), zlib.decompressobj(31)
    piece = body.read(PIECE)
    try:
        while piece:
            found += unpacker.decompress(piece, limits.body + 1 - len(found))
            if len(found) > limits.body:
                raise too_large("the body is larger than that when it is unpacked", limits.body, "Send it in parts.")
            if unpacker.eof and unpacker.unused_data:  # several packed pieces after each other are one
                piece, unpacker = unpacker.unused_data, zlib.decompressobj(31)
            else:
                piece = unpacker.unconsumed_tail or body.read(PIECE)
    except zlib.error as error:
        raise Problem(422, f"the body is not packed by gzip, as its Content-Encoding says: {error}.") from error
    if not unpacker.eof:
        raise Problem(422, "the body is packed by gzip, and cut short.")
    return bytes(found)


def check_unpacked(head: bytes, what: str, way: str) -> None:
    """Refuse what would be unpacked on the way to its rows: nobody could say how large it gets."""
    if head.startswith((*PACKED, b"PAR1")):
        raise Problem(415, f"{what} is packed or binary, not the text that it is said to be. Send it unpacked. {way}")


def check_width(data: bytes, limits: Limits) -> None:
    """Refuse text of too many columns by its first lines, before it is looked at how they are parted."""
    for line in data[: limits.body].split(b"\n", TOP)[:TOP]:
        check_cells(1, max(line.count(sign) for sign in (b",", b";", b"\t", b"|")) + 1, limits)


def checked_json(data: bytes, sent: Sent, reading: Reading, limits: Limits) -> bytes:
    """JSON whose rows and columns are few enough; a list of texts becomes one of objects.

    Raises
    ------
    Problem
        When it is something else than one object for each row.
    """
    rows = parsed_json(data, sent)
    wrong = [row for row in rows if not isinstance(row, dict)]
    if wrong:
        if sent.media == JSON and reading.text is not None and all(isinstance(row, str | None) for row in rows):
            return json.dumps([{reading.text: row} for row in rows]).encode()
        what = json.dumps(wrong[0], ensure_ascii=False)[:80]
        raise Problem(422, f"each row is a JSON object of names and values; one is {what}.")
    check_cells(len(rows), len(set[str]().union(*rows)), limits)
    return data


def parsed_json(data: bytes, sent: Sent) -> list[Any]:
    """Rows of JSON. Numbers are kept as texts, which none can make expensive."""
    try:
        text = data.decode("utf-8-sig")
        if sent.media == NDJSON:
            return [*json_lines(text)]
        rows = _DECODER.decode(text.strip())
    except (ValueError, RecursionError) as error:  # of decoding, too
        raise Problem(422, f"the body is no {sent.media}: {error}.") from None
    if not isinstance(rows, list):
        raise Problem(
            422,
            'expected a JSON list of objects, one for each row, such as [{"amount": 12.5}]; got '
            f"{'an object' if isinstance(rows, dict) else 'a single value'}. Put it in brackets.",
        )
    return rows


def json_lines(text: str) -> Iterator[Any]:
    """Values of JSON Lines; what ends a line elsewhere, such as U+2028, may stand in a text."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield _DECODER.decode(line.strip())
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None


_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


# ------------------------------------------------------------------------------------------------------ files


def from_files(sent: Sent, folder: Path, kind: Kind, reading: Reading, limits: Limits) -> Taken:
    """Files under the names that they were sent with: as their folder, if the kind reads such, else one by one."""
    if not sent.files:
        raise Problem(422, "there is no file in the body; expected parts with a filename each, as curl -F file=@1.png.")
    names: dict[str, None] = {}
    pixels = 0
    for given, stream in sent.files:
        name = safe_name(given)
        if name in names or any(str(parent) in names for parent in PurePosixPath(name).parents):
            raise Problem(422, f"two files are called {name!r}. Give each its own name.")
        names[name] = None
        check_unpacked(head_of(stream, name), f"the file {name!r}", "")
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                shutil.copyfileobj(stream, file)
        except (OSError, ValueError) as error:
            raise Problem(422, f"no file can be called {name!r} here. Give it a plain name.") from error
        pixels += pixels_in(path)
        if pixels > limits.pixels:
            raise too_large(f"the photos have {pixels:,} pixels or more", limits.pixels, "Send them in parts.")
    tables = [name for name in names if name.lower().endswith(TABLES)] if reading.photo else []
    for name in tables:
        check_listed(folder / name, reading, names, limits)
    whole = kind.asked_for(reading) or kind.claims([str(folder)])
    chosen = tables or ([""] if whole else sorted(names))
    return Taken(folder, [str(folder / name) for name in chosen], reading)


def pixels_in(path: Path) -> int:
    """How many a photo unpacks to, by its head; 0 of what is none, which is said when it is read."""
    with suppress(InputError, MissingExtraError):
        height, width, _ = file_head(path)[0]
        return height * width
    return 0


def head_of(stream: IO[bytes], name: str) -> bytes:
    """The first bytes of a file; of Parquet none, which is looked at otherwise."""
    head = stream.read(8)
    stream.seek(0)
    return b"" if name.lower().endswith(".parquet") and head.startswith(b"PAR1") else head


def safe_name(given: str) -> str:
    """A path within a folder.

    Raises
    ------
    Problem
        When it leads out of the folder, or hides.

    Examples
    --------
    >>> safe_name("photos/1.png")
    'photos/1.png'
    >>> safe_name("../1.png")
    Traceback (most recent call last):
    expose.serve.problems.Problem: a file is called '../1.png': expected a plain name such as 1.png, ...
    """
    parts = given.split("/")
    plain = given.isprintable() and "\\" not in given and len(given.encode("utf-8", "replace")) <= 200
    if not plain or not all(part.strip() == part and part and part[0] not in ".~" for part in parts):
        raise Problem(
            422,
            f"a file is called {given[:80]!r}: expected a plain name such as 1.png, or a path below a "
            "folder such as left/1.png.",
        )
    return given


def check_listed(path: Path, reading: Reading, sent: Mapping[str, None], limits: Limits) -> None:
    """Refuse a table that lists files which were not sent beside it: they would be files of this machine."""
    if path.suffix.lower() == ".parquet":
        check_parquet(path.read_bytes(), limits)
    table = read(path, dialect=reading.dialect)
    for name in column_names(reading.photo, table.column_names):
        if name in table.column_names:
            listed = {str(one) for one in table[name].to_pylist() if one is not None and str(one).strip()}
            if gone := sorted(listed - {*sent}):
                raise Problem(
                    422,
                    f"{path.name} lists {gone[0]!r} in the column {name!r}, and no file of that name is "
                    "in the request. Send all that it lists.",
                )


def check_size(samples: Any, before: int, limits: Limits) -> int:
    """Refuse more samples than are allowed; else how many there are so far."""
    total = before + len(samples)
    if total > limits.rows:
        raise too_large(f"there are {total:,} samples or more", limits.rows, "Send them in parts.")
    if isinstance(samples, pa.Table):
        check_cells(len(samples), samples.num_columns, limits)
    return total
