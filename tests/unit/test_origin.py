"""What a manifest may name: one from elsewhere only the web and its own store, in whatever way it is spelled."""

import json
from pathlib import Path

import pytest

from lookalike import Item, Outcome, Status
from lookalike.cli.report import Report
from lookalike.fetch import Failed, Fetcher, Settings
from lookalike.fetch.origin import check
from lookalike.records import Origin
from lookalike.sources import Findings, Format
from lookalike.sources.manifest import Options, file_items

WEB, STORE = Origin("https://shop.example/list.csv"), Origin("s3://shop/lists/list.csv")

LOCAL = [
    "file:///etc/passwd",
    "file:/etc/passwd",
    "FILE:///etc/passwd",
    "file://localhost/etc/passwd",
    "local:///etc/passwd",
    "Local:/etc/passwd",
]
CHAINS = [
    "simplecache::file:///etc/passwd",
    "filecache::local:///etc/passwd",
    "blockcache::file:///etc/passwd",
    "zip://a.jpg::file:///etc/a.zip",
    "dir::file:///etc",
    "tar://a.jpg::/etc/a.tar",
    "s3://shop/x::file:///etc/passwd",
    "SimpleCache::https://shop.example/1.jpg",
]
ELSEWHERE = [
    "memory://shop/1.jpg",
    "reference://1.jpg",
    "github://org:repo@main/1.jpg",
    "git:///etc:main@1.jpg",
    "ftp://shop.example/1.jpg",
    "sftp://shop.example/1.jpg",
    "smb://shop.example/1.jpg",
    "hdfs://shop/1.jpg",
    "webhdfs://shop/1.jpg",
    "data:image/png;base64,AAAA",
    "generic://file:///etc/passwd",
    "s3://other/1.jpg",
    "s3a://shop/1.jpg",
    "gs://shop/1.jpg",
    "s3://key:secret@shop/1.jpg",
    "s3:/shop/1.jpg",
    "s3:shop/1.jpg",
]


def refused(uri: str, origin: Origin | None) -> str:
    with pytest.raises(Failed) as caught:
        check(uri, origin)
    assert caught.value.reason == "URI_REFUSED"
    return str(caught.value)


@pytest.mark.parametrize("uri", [*LOCAL, *CHAINS, *ELSEWHERE])
@pytest.mark.parametrize("origin", [WEB, STORE, Origin("http://127.0.0.1/list.csv", private=True)])
def test_a_manifest_from_elsewhere_names_neither_files_nor_other_stores(uri: str, origin: Origin) -> None:
    message = refused(uri, origin)
    assert message.startswith(uri)
    assert "::" in uri or "set by the environment" in message or "may name only http: and https: URLs" in message


def test_it_names_the_web_and_its_own_store() -> None:
    for uri in ("https://other.example/1.jpg", "HTTP://other.example:8080/1.jpg", "https://shop/?u=a::file:///b"):
        check(uri, WEB)
        check(uri, STORE)
    check("s3://shop/photos/1.jpg", STORE)
    check("S3://shop/photos/1.jpg", STORE)
    assert "may name only" in refused("s3://shop/photos/1.jpg", WEB)
    assert "leads out" in refused("s3://shop/../other/1.jpg", STORE)


def test_a_manifest_of_this_machine_names_what_it_likes_but_no_chains() -> None:
    for uri in (*LOCAL, "memory://shop/1.jpg", "ftp://me@shop.example/1.jpg", "s3://other/1.jpg"):
        check(uri, None)
    for uri in CHAINS:
        assert "is an fsspec chain" in refused(uri, None)


@pytest.mark.parametrize(
    "uri", ["s3://key:secret@shop/1.jpg", "abfs://photos@evil.example/1.jpg", "az://a@b@c.blob.core.windows.net/1.jpg"]
)
def test_no_manifest_names_credentials_or_endpoints_of_a_store(uri: str) -> None:
    assert "set by the environment alone" in refused(uri, None)
    check("abfs://photos@account.dfs.core.windows.net/1.jpg", None)


@pytest.mark.parametrize("name", ["", "https://shop/1.jpg"])
async def test_the_fetcher_asks_before_it_looks(tmp_path: Path, name: str) -> None:
    """Not even at whether the file has changed; unless manifests are trusted. The file may be uri, or path."""
    (tmp_path / "1.jpg").write_bytes(b"secret")
    place = (tmp_path / "1.jpg").as_uri()
    item = Item(None, name or place, origin=WEB, path=place if name else "")
    async with Fetcher(Settings()) as fetcher:
        assert await fetcher.stamps([item]) == [""]
        with pytest.raises(Failed, match="may name only") as caught:
            await fetcher.fetch(item, "", None)
        assert "secret" not in str(caught.value)
    async with Fetcher(Settings(trust_manifests=True)) as fetcher:
        assert await fetcher.stamps([item]) != [""]
        assert await fetcher.fetch(item, "", None)


def test_a_list_of_failures_gives_no_more_rights_than_the_manifest_had(tmp_path: Path) -> None:
    """It is a file of this machine, but says whose its items were."""
    origins = [WEB, Origin("http://intranet/list.csv", private=True), None]
    with Report(tmp_path / "failures.jsonl") as report:
        for number, origin in enumerate(origins):
            item = Item(None, f"file:///{number}.jpg", origin=origin)
            report.add(Outcome(item.uri, Status.FAILED, Failed("no", reason="URI_REFUSED"), item))
    findings = Findings()
    found = list(file_items(str(tmp_path / "failures.jsonl"), Options(Format.JSONL), findings))
    assert not findings.failures
    assert [item.origin for item in found] == origins
    assert "_origin" not in json.loads((tmp_path / "failures.jsonl").read_text().splitlines()[2])
