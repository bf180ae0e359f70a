"""Object stores, ``s3://``, ``gs://`` and ``az://``: places in them, with as much of `pathlib.Path` as is used here.

pyarrow talks to the stores. Two things it does not do are done here: it takes endpoints from no environment variable,
and an output stream of its that is dropped may publish the half that was written. So what is written lies complete on
this machine first, and is sent as one.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import IO, Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from expose.errors import InputError, MissingExtraError, without_passwords

_SCHEMES: Final = {"s3": "S3", "gs": "Gcs", "gcs": "Gcs", "az": "Azure", "abfs": "Azure", "abfss": "Azure"}
_URL: Final = re.compile(rf"({'|'.join(_SCHEMES)}):/+(.*)", re.DOTALL | re.IGNORECASE)  # a Path has one slash only
_ADDRESS: Final = re.compile(r"(?:(?P<user>[^/@:]*)(?::(?P<password>[^@]*))?@)?(?P<host>[^/]*)/*(?P<key>.*)", re.DOTALL)
_QUERY: Final = re.compile(r"\?(?=[a-z_]+=)", re.IGNORECASE)  # any other ? is of a pattern
_SECRET: Final = re.compile(r"secret|password|pwd|token|credential|sig|key", re.IGNORECASE)
_BLOCK: Final = 8 * 2**20  # bytes that are sent at a time
_BETWEEN: Final = 8  # blocks sent at the same time; without a bound all of a file could wait in memory
_FIRST, _AHEAD = 2**16, 2**22  # bytes that are asked for at a time: each costs a round trip, and many only look
_ANSWER, _CONNECT, _TRIES, _AGAIN = 20, 5, 3, 5  # seconds, seconds, times, seconds in which Google's client tries
_DRAFT: Final = ".expose-draft"

_FAILURES: Final = (  # in the words of the three clients
    (
        "Empty path component",
        "a key of {bucket!r} holds //, which cannot be read or written here. Copy it to a key without, or name others",
    ),
    (
        r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|EXPIRED_TOKEN|HTTP status 40[13]\)|\b40[13]\b|Authoriz|Authent"
        r"|UNAUTHENTICATED|PERMISSION_DENIED|credential",
        "{host} refuses access to {noun} {bucket!r}. Check the credentials ({credentials}) and what they allow",
    ),
    (
        r"curl|NETWORK_CONNECTION|UNAVAILABLE|Azure Error: \[\]|resolve host|timed? ?out",
        "{host} does not answer. Check the network, and the address if you gave one ({address})",
    ),
    (
        r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|NOT_FOUND",
        "there is no {noun} {bucket!r}. Make it, or correct the name",
    ),
)
_OF_A_STORE: Final = re.compile(r"AWS Error|google::cloud|Azure|curl|credential|Empty path component", re.IGNORECASE)
_WORDS: Final = {  # noun, credentials, address
    "S3": ("bucket", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE", "AWS_ENDPOINT_URL"),
    "Gcs": ("bucket", "GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"),
    "Azure": ("container", "AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING"),
}


class StoreError(OSError):
    """An object store does not answer, or refuses."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


# --------------------------------------------------------------------------------------------------- addresses


class Address(NamedTuple):
    """A store, and what is asked of it: the class of pyarrow's file system, its options, and where to go.

    Attributes
    ----------
    system : str
    options : dict
        As pyarrow's class takes them.
    bucket, key : str
    shown : str
        The URL of the bucket without secrets.
    query : str
        The query without secrets.
    """

    system: str
    options: dict[str, Any]
    bucket: str
    key: str
    shown: str
    query: str


def address_of(url: str, environment: Mapping[str, str] = os.environ) -> Address | None:
    """Read a URL of an object store, None if it is none; keys are taken as they are, as the stores' own tools do.

    >>> address_of("s3://rows/2026/*.parquet", {"AWS_ENDPOINT_URL": "http://localhost:9000"})[1:4]
    ({'region': 'us-east-1', 'scheme': 'http', 'endpoint_override': 'localhost:9000'}, 'rows', '2026/*.parquet')
    >>> address_of("az://rows/new.csv", {"AZURE_STORAGE_ACCOUNT": "ours"}).options
    {'account_name': 'ours'}
    """
    found = _URL.fullmatch(url)
    if found is None:
        return None
    scheme, (rest, *query) = found[1].lower(), _QUERY.split(found[2], maxsplit=1)
    parts = {name: unquote(value or "") for name, value in _ADDRESS.fullmatch(rest).groupdict().items()}  # type: ignore[union-attr]
    parts["key"] = _ADDRESS.fullmatch(rest)["key"].rstrip("/")  # type: ignore[index]
    given = dict(parse_qsl(query[0])) if query else {}
    system = _SCHEMES[scheme]
    known, read = _READERS[system]
    if unknown := sorted(given.keys() - known):
        raise InputError(
            f"{without_secrets(url)}: no option of {scheme}:// is called {unknown[0]!r}; there are {known}."
        )
    options, bucket, key, shown = read(parts, environment)
    if not bucket:
        raise InputError(f"{without_secrets(url)}: no bucket is named. Expected {scheme}://BUCKET/NAME.")
    plain = {name: value for name, value in given.items() if not _SECRET.search(name)}
    return Address(system, options | given, bucket, key, f"{scheme}://{shown}", f"?{urlencode(plain)}" if plain else "")


def _of_s3(parts: Mapping[str, str], environment: Mapping[str, str]) -> tuple[dict[str, Any], str, str, str]:
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    options: dict[str, Any] = {} if not (region or endpoint) else {"region": region or "us-east-1"}
    options |= _endpoint(endpoint)
    if parts["password"]:
        options |= {"access_key": parts["user"], "secret_key": parts["password"]}
    anonymous = parts["user"] == "anonymous" and not parts["password"]
    options |= {"anonymous": True} if anonymous else {}
    return options, parts["host"], parts["key"], ("anonymous@" if anonymous else "") + parts["host"]


def _of_google(parts: Mapping[str, str], environment: Mapping[str, str]) -> tuple[dict[str, Any], str, str, str]:
    emulator = environment.get("STORAGE_EMULATOR_HOST")
    options: dict[str, Any] = _endpoint(emulator)
    anonymous = parts["user"] == "anonymous"
    options |= {"anonymous": True} if anonymous or emulator else {}
    return options, parts["host"], parts["key"], ("anonymous@" if anonymous else "") + parts["host"]


def _of_azure(parts: Mapping[str, str], environment: Mapping[str, str]) -> tuple[dict[str, Any], str, str, str]:
    """Container and account stand in one of three orders: container, container@account.host, account.host/container."""
    said = dict(re.findall(r"(\w+)=([^;]*)", environment.get("AZURE_STORAGE_CONNECTION_STRING", "")))
    account = environment.get("AZURE_STORAGE_ACCOUNT") or said.get("AccountName", "")
    user, host, key, shown = parts["user"], parts["host"], parts["key"], parts["host"]
    bucket, at = host, f"{user}@" if user else ""
    if "." in host:  # no container has one
        account = host.partition(".")[0]
        bucket, key = (user, key) if user else (key.partition("/")[0], key.partition("/")[2])
        shown = host if user else f"{host}/{bucket}"
    elif user:
        account = user
    options = {
        "account_name": account,
        "account_key": parts["password"] or environment.get("AZURE_STORAGE_KEY") or said.get("AccountKey"),
        "sas_token": environment.get("AZURE_STORAGE_SAS_TOKEN") or said.get("SharedAccessSignature"),
    }
    if not account:
        raise InputError(
            f"az://{shown}: no storage account is named. Set AZURE_STORAGE_ACCOUNT, or write az://ACCOUNT@{shown}."
        )
    if blob := said.get("BlobEndpoint"):
        place = urlsplit(blob)
        options |= {f"{one}_storage_scheme": place.scheme for one in ("blob", "dfs")}
        options |= {f"{one}_storage_authority": place.netloc for one in ("blob", "dfs")}
    return {name: value for name, value in options.items() if value}, bucket, key, at + shown


def _endpoint(url: str | None) -> dict[str, Any]:
    """Scheme and host of an endpoint, as pyarrow takes them."""
    if not url:
        return {}
    place = urlsplit(url if "://" in url else f"http://{url}")
    return {"scheme": place.scheme, "endpoint_override": place.netloc + place.path.rstrip("/")}


_Reader = Callable[[Mapping[str, str], Mapping[str, str]], tuple[dict[str, Any], str, str, str]]
_READERS: Final[dict[str, tuple[tuple[str, ...], _Reader]]] = {
    "S3": (
        ("region", "scheme", "endpoint_override", "access_key", "secret_key", "session_token", "role_arn"),
        _of_s3,
    ),
    "Gcs": (("scheme", "endpoint_override", "project_id"), _of_google),
    "Azure": (
        (
            *("account_name", "account_key", "sas_token", "tenant_id", "client_id", "client_secret"),
            *(f"{one}_storage_{part}" for one in ("blob", "dfs") for part in ("authority", "scheme")),
        ),
        _of_azure,
    ),
}


def without_secrets(text: str) -> str:
    """A text in which URLs, of whatever scheme, have no user, password or secret option any more.

    >>> without_secrets("from s3://AKIA:se/cret@rows/a.csv?region=eu&secret_key=x to az://ours:key==@rows/b")
    'from s3://rows/a.csv?region=eu to az://ours@rows/b'
    >>> without_secrets("s3://AKIA:secret@rows/a.csv"), without_secrets("postgresql://me:pw@host/db?password=pw")
    ('s3://rows/a.csv', 'postgresql://me@host/db')
    """
    text = re.sub(r"\b((?:s3|gc?s):/+)[^\s/@:'\"]*:[^\s@'\"]*@", r"\1", text, flags=re.IGNORECASE)  # an id is no user
    text = without_passwords(text)
    text = re.sub(r"\b((?:az|abfss?):/+[^\s/@:'\"]*):[^\s@'\"]*@", r"\1@", text, flags=re.IGNORECASE)
    text = re.sub(r"(\w:/+)[^\s/@:'\"]*:[^\s@'\"]*@", r"\1", text)
    return re.sub(rf"(?:\w+:/|(?:{'|'.join(_SCHEMES)}):)/[^\s'\"]+", lambda one: _plain_query(one[0]), text)


def _plain_query(url: str) -> str:
    path, *query = _QUERY.split(url, maxsplit=1)
    kept = [part for part in query[0].split("&") if not _SECRET.search(part.partition("=")[0])] if query else []
    return f"{path}?{'&'.join(kept)}" if kept else path


@lru_cache(maxsize=32)
def _connected(system: str, options: tuple[tuple[str, Any], ...]) -> Any:
    """The file system of pyarrow; nothing goes over the network yet."""
    try:
        from pyarrow import fs

        limits: dict[str, Any] = {}
        if system == "S3":
            limits |= {"connect_timeout": _CONNECT, "request_timeout": _ANSWER}
            limits |= {"retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES)}
            # One request for a small object; in the background, else pyarrow publishes what it has when sending fails
            limits |= {"allow_delayed_open": True, "background_writes": True}
        if system == "Gcs":
            limits |= {"retry_time_limit": timedelta(seconds=_AGAIN)}
        return getattr(fs, f"{system}FileSystem")(**limits, **dict(options))
    except (AttributeError, ImportError, TypeError) as error:
        message = f"this build of pyarrow has no {system} file system ({error}). Get one: pip install --upgrade pyarrow"
        raise MissingExtraError(message) from error


@lru_cache(maxsize=32)
def _region_of(bucket: str) -> str | None:
    """Where Amazon keeps a bucket, which requests must name; None if it does not say."""
    from pyarrow.fs import resolve_s3_region

    with suppress(OSError):
        return str(resolve_s3_region(bucket))
    return None


# ------------------------------------------------------------------------------------------------------ places


@dataclass(frozen=True)
class Stored:
    """An object in a store, or a name that others begin with, which is a folder then.

    Equal if the URLs are, secrets aside. It shows none of them.
    """

    shown: str  # the URL of the bucket
    key: str
    query: str = ""
    bucket: str = field(default="", compare=False)
    system: str = field(default="", compare=False, repr=False)
    options: tuple[tuple[str, Any], ...] = field(default=(), compare=False, repr=False)
    listed: Any = field(default=None, compare=False, repr=False)  # what a listing said of it

    def __str__(self) -> str:
        return f"{self.shown}/{self.key}{self.query}"

    def __lt__(self, other: Stored) -> bool:
        return (self.shown, self.key.split("/")) < (other.shown, other.key.split("/"))  # as paths are ordered

    def __truediv__(self, name: str) -> Stored:
        return replace(self, key=f"{self.key}/{name}" if self.key else name, listed=None)

    @property
    def name(self) -> str:
        """The last part of the key, or the bucket."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Stored:
        """What it lies in; of the bucket itself."""
        return replace(self, key=self.key.rpartition("/")[0], listed=None)

    def with_name(self, name: str) -> Stored:
        """The place beside it of this name."""
        return self.parent / name

    def resolve(self) -> Stored:
        """Itself: there are no links."""
        return self

    def is_relative_to(self, other: object) -> bool:
        """Whether it is, or lies in, another place."""
        below = isinstance(other, Stored) and self.shown == other.shown
        return below and f"{self.key}/".startswith(f"{other.key}/" if other.key else "")  # type: ignore[attr-defined]

    def relative_to(self, other: Stored) -> PurePosixPath:
        """Its path as seen from a folder that it lies in."""
        return PurePosixPath(self.key).relative_to(other.key)

    # ------------------------------------------------------------------------------------------------ looking

    def exists(self) -> bool:
        """Whether there is an object of this name, or one whose name begins with it."""
        return bool(self._info().type.name != "NotFound")

    def is_file(self) -> bool:
        """Whether there is an object of this name."""
        return bool(self._info().type.name == "File")

    def is_dir(self) -> bool:
        """Whether there are objects in it."""
        return bool(self._info().type.name == "Directory")

    def is_symlink(self) -> bool:
        """No: there are none."""
        return False

    def stat(self) -> SimpleNamespace:
        """Its size in bytes, ``st_size``."""
        return SimpleNamespace(st_size=self._info().size)

    def iterdir(self) -> Iterator[Stored]:
        """What lies directly in it."""
        return self._found(recursive=False)

    def rglob(self, pattern: str = "*") -> Iterator[Stored]:
        """All objects in it and in its folders; there is no other pattern than ``"*"``."""
        return (one for one in self._found(recursive=True) if one.is_file())

    def _found(self, recursive: bool) -> Iterator[Stored]:
        from pyarrow.fs import FileSelector

        with told(self):
            infos = self.files.get_file_info(FileSelector(self._path, allow_not_found=True, recursive=recursive))
        for info in infos:
            yield replace(self, key=info.path[len(self.bucket) + 1 :].rstrip("/"), listed=info)

    def _info(self) -> Any:
        if self.listed is not None:
            return self.listed
        with told(self):
            return self.files.get_file_info(self._path)

    @property
    def _path(self) -> str:
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    @property
    def files(self) -> Any:
        """The file system of pyarrow that it lies in."""
        options = self.options
        if self.system == "S3" and not {"region", "endpoint_override"} & dict(options).keys():
            options += (("region", _region_of(self.bucket)),)
        return _connected(self.system, options)

    def check_bucket(self) -> None:
        """Raise StoreError if its store does not answer, refuses us, or has no such bucket."""
        if self.exists():
            return
        there = True
        with suppress(StoreError):  # of the bucket itself many may know nothing who may read and write in it
            there = replace(self, key="", listed=None).exists()
        if not there:
            raise StoreError(errno.ENOENT, _failure(FileNotFoundError(), self), str(self))

    # ------------------------------------------------------------------------------------------------ reading

    def at_random(self) -> Any:
        """Open it for reading here and there; an Arrow file. Errors while it is read are turned by `told`."""
        with told(self):
            return self.files.open_input_file(self._path)

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Open it for reading, ahead of what is asked for."""
        return io.BufferedReader(_Bytes(self.at_random(), self), _AHEAD)

    def read_bytes(self) -> bytes:
        """All of it."""
        with self.open() as file:
            return file.read()

    # ------------------------------------------------------------------------------------------------ writing

    def upload(self, file: Path) -> None:
        """Make it what a file holds, whole or not at all.

        Not to be interrupted once it has begun: pyarrow knows no way to drop what it began to send.
        """
        with file.open("rb") as source, ThreadPoolExecutor(1) as sender:
            sender.submit(self._send, iter(lambda: source.read(_BLOCK), b"")).result()

    def write_bytes(self, content: bytes) -> None:
        """Make it this, whole or not at all."""
        with ThreadPoolExecutor(1) as sender:
            sender.submit(self._send, iter([content])).result()

    def unlink(self) -> None:
        """Remove it."""
        with told(self):
            self.files.delete_file(self._path)

    def _send(self, blocks: Iterator[bytes]) -> None:
        with told(self, writing=True):
            if self.system != "Azure":
                self._stream(self, blocks)
                return
            draft = self.with_name(f".{self.name}{_DRAFT}")  # opening empties what is there, at once
            try:
                self._stream(draft, blocks)
                self.files.copy_file(draft._path, self._path)
            finally:
                with suppress(OSError):
                    self.files.delete_file(draft._path)

    def _stream(self, target: Stored, blocks: Iterator[bytes]) -> None:
        with self.files.open_output_stream(target._path, compression=None) as stream:
            for number, block in enumerate(blocks, 1):
                stream.write(block)
                if number % _BETWEEN == 0:
                    stream.flush()


Place = Path | Stored


class _Bytes(io.RawIOBase):
    """An Arrow file as Python's own readers take it, with our errors."""

    def __init__(self, file: Any, place: Stored) -> None:
        self._file, self._place, self._most = file, place, _FIRST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with told(self._place):
            piece = self._file.read(min(len(buffer), self._most))
        self._most *= 2
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def place_of(source: str | os.PathLike[str] | Stored) -> Place:
    """A path, or a place in an object store if it is a URL of one.

    >>> place_of("new/rows.csv"), str(place_of("s3://AKIA:secret@rows/new.csv"))
    (PosixPath('new/rows.csv'), 's3://rows/new.csv')
    """
    if isinstance(source, Stored):
        return source
    found = address_of(os.fspath(source))
    if found is None:
        return Path(source)
    system, options, bucket, key, shown, query = found
    return Stored(shown, key, query, bucket, system, tuple(sorted(options.items())))


@contextmanager
def told(place: Place, *, writing: bool = False) -> Iterator[None]:
    """Say in errors of a store which host or bucket it is about and what to do; others pass.

    Raises
    ------
    FileNotFoundError
        If there is no such object.
    StoreError
    """
    try:
        yield
    except Exception as error:
        if not isinstance(place, Stored) or not _is_of_store(error):
            raise
        if isinstance(error, FileNotFoundError) and not writing:
            raise FileNotFoundError(errno.ENOENT, "there is no such object", str(place)) from error
        raise StoreError(errno.EIO, _failure(error, place), str(place)) from error


def _is_of_store(error: Exception) -> bool:
    """Whether pyarrow tells what a store said; that its clients have no token is of no class of its own."""
    from pyarrow import ArrowException

    if not isinstance(error, OSError | ArrowException) or getattr(error, "filename", None) is not None:
        return False
    return isinstance(error, FileNotFoundError) or bool(_OF_A_STORE.search(str(error)))


def _failure(error: Exception, place: Stored) -> str:
    """What went wrong in a store, and what to do."""
    text, options = str(error), dict(place.options)
    noun, credentials, address = _WORDS[place.system]
    host = options.get("endpoint_override") or options.get("blob_storage_authority") or f"the store of {place.shown}"
    if isinstance(error, FileNotFoundError):
        text = "NOT_FOUND"
    for pattern, words in _FAILURES:
        if re.search(pattern, text, re.IGNORECASE):
            return words.format(host=host, noun=noun, bucket=place.bucket, credentials=credentials, address=address)
    return without_secrets(" ".join(text.split()))[:300]
