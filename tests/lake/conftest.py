"""Fixtures of the lake's tests: a tiny lake built once, a copy for those who change it, an object store."""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import MotoRequestHandler
from werkzeug.serving import make_server

from eegfm_lake.table import Lake
from tests.lake.tiny import write_tiny_lake


@pytest.fixture(scope="session")
def shared_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Four people of `tiny`, two of `gappy` whose recordings pause; nobody may change it."""
    path = tmp_path_factory.mktemp("lake") / "shared lake"
    write_tiny_lake(path, people=4, trials=8)
    return write_tiny_lake(path, people=2, runs=1, trials=8, dataset="gappy", gap=True, seed=1)


@pytest.fixture
def lake(shared_lake: Lake, tmp_path: Path) -> Lake:
    """A copy of the tiny lake that a test may change."""
    path = tmp_path / "lake"
    shutil.copytree(shared_lake.storage.uri, path)
    return Lake.open(path)


@pytest.fixture(scope="session")
def _object_store() -> Iterator[str]:
    # One request at a time: moto looks whether an object is there and then writes it, which two threads can do at once;
    # a real store's conditional write is one step.
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=False, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def bucket(_object_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an empty place in an object store on this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_ENDPOINT_URL": _object_store,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    name = f"lakes-{uuid.uuid4().hex[:8]}"
    boto3.client("s3", endpoint_url=_object_store, region_name="us-east-1").create_bucket(Bucket=name)
    return f"s3://{name}/some/lake"
