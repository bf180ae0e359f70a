"""URLs of object stores, without a store: what is asked of which one, and that no secret is shown."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from expose.cli.sources import beside, check_stored_output, command_line
from expose.errors import InputError
from expose.files.paths import matches, sheet_of
from expose.stores import Stored, StoreError, address_of, place_of, told, without_secrets

KEY = "YWJjZA=="
EMULATED = f"DefaultEndpointsProtocol=http;AccountName=dev;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:10000/dev;"
HTTP = {"scheme": "http", "endpoint_override": "localhost:9000"}


def stored(url: str) -> Stored:
    place = place_of(url)
    assert isinstance(place, Stored)
    return place


@pytest.mark.parametrize(
    ("url", "environment", "system", "options", "place"),
    [
        ("s3://rows/a/b.csv", {}, "S3", {}, "rows/a/b.csv"),
        ("s3://rows/a", {"AWS_DEFAULT_REGION": "eu-west-1"}, "S3", {"region": "eu-west-1"}, "rows/a"),
        ("s3://rows/a", {"AWS_ENDPOINT_URL": "http://localhost:9000/"}, "S3", HTTP | {"region": "us-east-1"}, "rows/a"),
        (
            "s3://rows/a",
            {"AWS_ENDPOINT_URL": "http://other", "AWS_ENDPOINT_URL_S3": "http://localhost:9000"},
            "S3",
            HTTP | {"region": "us-east-1"},
            "rows/a",
        ),
        ("s3://rows/a?region=eu&scheme=http", {}, "S3", {"region": "eu", "scheme": "http"}, "rows/a"),
        ("s3://me:p%2Fw@rows/a", {}, "S3", {"access_key": "me", "secret_key": "p/w"}, "rows/a"),
        ("s3://me:p/w@rows/a@b:c", {}, "S3", {"access_key": "me", "secret_key": "p/w"}, "rows/a@b:c"),
        ("s3://anonymous@rows/a", {}, "S3", {"anonymous": True}, "rows/a"),
        ("S3://rows/a%20b?.csv", {}, "S3", {}, "rows/a%20b?.csv"),
        ("gs://rows/a", {}, "Gcs", {}, "rows/a"),
        ("gcs://rows/a", {"STORAGE_EMULATOR_HOST": "localhost:9000"}, "Gcs", HTTP | {"anonymous": True}, "rows/a"),
        (
            "az://rows/a",
            {"AZURE_STORAGE_ACCOUNT": "ours", "AZURE_STORAGE_KEY": KEY},
            "Azure",
            {"account_name": "ours", "account_key": KEY},
            "rows/a",
        ),
        ("az://ours@rows/a", {}, "Azure", {"account_name": "ours"}, "rows/a"),
        ("abfs://rows@ours.dfs.core.windows.net/a/b", {}, "Azure", {"account_name": "ours"}, "rows/a/b"),
        ("abfss://ours.dfs.core.windows.net/rows/a/b", {}, "Azure", {"account_name": "ours"}, "rows/a/b"),
        (
            "az://rows/a",
            {"AZURE_STORAGE_CONNECTION_STRING": EMULATED},
            "Azure",
            {"account_name": "dev", "account_key": KEY}
            | dict.fromkeys(("blob_storage_scheme", "dfs_storage_scheme"), "http")
            | dict.fromkeys(("blob_storage_authority", "dfs_storage_authority"), "127.0.0.1:10000"),
            "rows/a",
        ),
    ],
)
def test_a_url_says_which_store_and_what_in_it(
    url: str, environment: dict[str, str], system: str, options: dict[str, Any], place: str
) -> None:
    found = address_of(url, environment)
    assert found is not None
    assert (found.system, found.options, f"{found.bucket}/{found.key}") == (system, options, place)


@pytest.mark.parametrize("system", ["S3", "Gcs", "Azure"])
def test_pyarrow_takes_every_option_that_a_url_may_have(system: str) -> None:
    from pyarrow import fs

    url = {"S3": "s3://rows/a", "Gcs": "gs://anonymous@rows/a", "Azure": f"az://ours:{KEY}@rows/a"}[system]
    made = stored(url + "?scheme=http" * (system != "Azure")).files
    assert isinstance(made, getattr(fs, f"{system}FileSystem"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3:///a.csv?colour=red", "no option of s3:// is called 'colour'"),
        ("s3://", "no bucket is named"),
        ("az://rows/a", "AZURE_STORAGE_ACCOUNT"),
    ],
)
def test_what_a_url_lacks_is_said(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=said):
        place_of(url)


@pytest.mark.parametrize("path", ["rows.csv", "-", "C:/rows", "file:///rows", "http://host/a", "s3/rows", "ss3://rows"])
def test_other_paths_are_paths(path: str) -> None:
    assert place_of(path) == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "s3://me:TOP@rows/a.csv",
        "s3://me:TOP/TOP@rows/a.csv",
        "s3://rows/a.csv?secret_key=TOP",
        "s3://rows/a.csv?access_key=TOP&region=eu",
        "az://ours:TOP@rows/a.csv",
        "abfs://rows:TOP@ours.dfs.core.windows.net/a.csv",
        "az://ours@rows/a.csv?sas_token=TOP",
    ],
)
def test_no_secret_is_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = stored(url)
    assert "TOP" not in f"{place} {place!r} {place / 'x'} {place.parent} {place.with_name('y')}"
    assert "a.csv" in str(place)
    assert stored(str(place)) == place  # and it is still a URL of the same
    monkeypatch.setattr("sys.argv", ["expose", "fit", url, f"--out={url}"])
    assert "TOP" not in command_line()
    assert "TOP" not in without_secrets(f"cannot read '{url}': {url}")
    assert without_secrets(url) == str(place)


def test_a_text_without_urls_stays_as_it_is() -> None:
    text = "--set x=1 a@b.c: 12:30 C:/key=1?key=2 https://host/page?page=2 's3://rows/*.csv'"
    assert without_secrets(text) == text


def test_a_path_that_lost_a_slash_is_the_same_place() -> None:
    assert place_of(Path("s3://rows/2026/model")) == place_of("s3://rows/2026/model/")


def test_places_are_put_together_and_ordered_as_paths_are() -> None:
    place = stored("s3://rows/a/model.tar.gz")
    assert (place.name, place.suffix, str(place.parent)) == ("model.tar.gz", ".gz", "s3://rows/a")
    assert str(stored("s3://rows") / "x") == "s3://rows/x"
    assert (place / "x").is_relative_to(place)
    assert not stored("s3://rows/a/model.tar.gz2").is_relative_to(place)
    assert not stored("s3://other/a/model.tar.gz/x").is_relative_to(place)
    keys = ["a/b", "a.b", "a-b/c", "a/b/c"]
    local = sorted(map(Path, keys))
    assert [one.key for one in sorted(stored(f"s3://rows/{key}") for key in keys)] == [one.as_posix() for one in local]
    assert pickle.loads(pickle.dumps(place)) == place


@pytest.mark.parametrize("pattern", ["*.csv", "**/*.csv", "d/*.csv", "d/**", "?.csv", "[ab].csv", ".*.csv", "d/.h/*"])
def test_patterns_stand_for_what_they_stand_for_here(pattern: str, tmp_path: Path) -> None:
    keys = ["a.csv", "b.csv", "c.txt", ".h.csv", "d/a.csv", "d/e/a.csv", "d/.h/a.csv", "d/.h.csv"]
    for key in keys:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_text("x")
    import glob

    here = glob.glob(str(tmp_path / pattern), recursive=True)
    there = [key for key in keys if matches(stored(f"s3://rows/{key}"), stored(f"s3://rows/{pattern}"))]
    assert sorted(there) == sorted(Path(one).relative_to(tmp_path).as_posix() for one in here if Path(one).is_file())


def test_a_sheet_is_named_behind_a_workbook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stored, "exists", lambda _: False)
    assert sheet_of(stored("s3://rows/a/book.xlsx#May")) == (stored("s3://rows/a/book.xlsx"), "May")


def test_no_result_is_written_over_what_is_read() -> None:
    for data, out, said in (
        ("s3://rows/a.csv", "s3://rows/a.csv", "is an input"),
        ("s3://rows/**/*.csv", "s3://rows/x/y/b.csv", "is an input"),
        ("s3://rows/x", "s3://rows/x/scores.csv", "lies in the input folder"),
    ):
        with pytest.raises(InputError, match=said):
            check_stored_output(stored(out), [data], "--out")
    check_stored_output(stored("s3://rows/b.csv"), ["s3://rows/a.csv", "rows/b.csv", "-", "s3://other/b.csv"], "--out")


def test_a_checkpoint_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert beside(place_of("s3://me:pw@rows/2026/model"), "checkpoint") == tmp_path / "s3-rows-2026-model.checkpoint"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect", "does not answer"),
        ("Azure Error: [] Error while sending request. Failure when receiving data from the peer", "does not answer"),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation", "no bucket 'rows'"),
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", "AWS_ACCESS_KEY_ID"),
        ("AWS Error INVALID_ACCESS_KEY_ID during PutObject operation", "AWS_ACCESS_KEY_ID"),
        ("AWS Error SIGNATURE_DOES_NOT_MATCH during PutObject operation", "AWS_ACCESS_KEY_ID"),
        (
            "google::cloud::Status(UNAVAILABLE: Could not create a OAuth2 access token to authenticate",
            "AWS_ACCESS_KEY_ID",
        ),
        ("AWS Error SLOW_DOWN during PutObject operation", "SLOW_DOWN"),
    ],
)
def test_what_a_store_says_is_put_in_words(message: str, said: str) -> None:
    place = stored("s3://rows/a.csv")
    with pytest.raises(StoreError, match="s3://rows/a.csv: .*" + said), told(place):
        raise OSError(message)


def test_a_key_that_pyarrow_refuses_is_put_in_words() -> None:
    place = stored("s3://rows/2026//a.csv?region=eu&endpoint_override=localhost:1")
    with pytest.raises(StoreError, match=r"a key of 'rows' holds //"):
        place.exists()


def test_other_errors_are_left_as_they_are() -> None:
    for error in (OSError(28, "No space left on device", "draft"), OSError("Unexpected end of stream")):
        with pytest.raises(OSError, match=r"No space|Unexpected end") as caught, told(stored("s3://rows/a.csv")):
            raise error
        assert caught.value is error
