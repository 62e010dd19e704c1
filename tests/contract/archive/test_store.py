"""The archive's store: credentials, encryption, uploads in parts."""

import http.server
import secrets
import threading
from pathlib import Path
from typing import Any

import pytest

from entasis_db.archive import archive, open_store
from entasis_db.errors import StoreError
from entasis_db.manifest import archived_ranges
from tests.contract.archive.support import mark, prefix
from tests.db import Connection
from tests.s3 import S3Server

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]


def test_no_credential_is_told_or_kept(
    filled: Connection, s3: S3Server, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hunter2hunter2"
    for bad in (
        f"s3://key:{secret}@bucket/x",
        f"s3://bucket/x?endpoint_url=http://key:{secret}@127.0.0.1:1",
        f"s3://bucket/x?aws_secret_access_key={secret}",
        f"s3://bucket/x?{secret}",
        f"ftp://{secret}",
        f"s3://bucket/x?sse={secret}",
        f"file://{secret}/x",
        f"file:///x?{secret}=1",
        f"s3://[{secret}/x",
        f"s3://key:{secret}/bucket/x",
        f"s3://key%3A{secret}%40bucket/x",
        f"s3://key%253A{secret}%2540bucket/x",
        f"s3://bucket/x?endpoint_url=http://key%3A{secret}%40127.0.0.1:1",
        f"s3://bucket/x?endpoint_url=http://key%253A{secret}%2540127.0.0.1:1",
        f"s3://bucket/x?endpoint_url=http://127.0.0.1:1/%3FX-Amz-Signature={secret}",
        f"s3://bucket/x?endpoint_url={secret}",
        f"s3://bucket/x?profile={secret}",
        f"s3://bucket/x#{secret}",
        f"file:///x#{secret}",
    ):
        with pytest.raises(StoreError) as caught:
            open_store(bad)
        assert secret not in str(caught.value)
    with caplog.at_level("DEBUG", logger="entasis_db"):
        mark(filled)
        archive(filled, open_store(url))
    kept = filled.execute(
        "SELECT a::text || o::text FROM entasis.archives AS a, entasis.archive_objects AS o"
        " UNION ALL SELECT l::text FROM entasis.maintenance_log AS l"
    ).fetchall()
    for told in (str(kept), caplog.text):
        assert s3.access_key not in told
        assert s3.secret_key not in told


def test_wrong_credentials_and_a_missing_bucket_are_said(
    filled: Connection, s3: S3Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark(filled)
    with pytest.raises(StoreError, match="NoSuchBucket"):
        archive(filled, open_store(url.replace("s3://history", "s3://nowhere")))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreError, match=r"SignatureDoesNotMatch|403|AccessDenied") as caught:
        archive(filled, open_store(url))
    assert s3.access_key not in str(caught.value)
    assert archived_ranges(filled) == []  # told before anything was recorded


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("sse=AES256", {"x-amz-server-side-encryption": "AES256"}),
        (
            "sse=aws:kms&kms_key_id=our-key",
            {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": "our-key",
            },
        ),
    ],
)
def test_encryption_is_asked_for(
    s3: S3Server, tmp_path: Path, options: str, expected: dict[str, str]
) -> None:
    heard: list[dict[str, str]] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            heard.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    file = tmp_path / "file"
    file.write_bytes(b"content")
    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            endpoint = f"endpoint_url=http://127.0.0.1:{listener.server_port}&region=eu-west-1"
            open_store(f"s3://bucket/x?{endpoint}&{options}").put("key", file)
        finally:
            listener.shutdown()
            thread.join()
    (headers,) = heard
    assert expected.items() <= headers.items()


def test_large_objects_go_in_parts_and_a_dead_upload_is_aborted(
    s3: S3Server, url: str, tmp_path: Path
) -> None:
    store = open_store(url)
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(secrets.token_bytes(20 * 2**20))
    store.put("a/x-0", file)
    store.get("a/x-0", back)
    assert back.read_bytes() == file.read_bytes()
    client: Any = store._client  # type: ignore[attr-defined]
    client.create_multipart_upload(Bucket="history", Key=f"{prefix(store)}/a/x-1")
    store.put("a/y-0", file)
    size = file.stat().st_size
    assert store.sizes("a/") == {"a/x-0": size, "a/x-1.partial": 0, "a/y-0": size}
    assert store.sizes("a/y") == {"a/y-0": size}
    store.discard("a/x-")
    assert s3.objects(prefix(store)).keys() == {"a/y-0"}
    assert "Uploads" not in client.list_multipart_uploads(Bucket="history", Prefix=prefix(store))
