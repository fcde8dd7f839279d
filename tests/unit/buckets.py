"""Buckets of servers on this machine, spoken to over HTTP by the clients that the real ones get.

The servers are found by the environment, which processes that a test starts inherit.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import fsspec
import pytest

from scripts.common.model_server import free_port

# Where gcsfs finds the emulator, and what keeps it from asking a machine of Google's for credentials.
GS_VARIABLES = ("STORAGE_EMULATOR_HOST", "NO_GCE_CHECK")


def gs_environment() -> dict[str, str]:
    """What a process that inherits nothing needs to find the bucket of `gs_bucket`."""
    return {name: os.environ[name] for name in GS_VARIABLES}


@contextlib.contextmanager
def gs_bucket(name: str) -> Iterator[str]:
    """The URL of an empty bucket of gcp-storage-emulator, in memory."""
    from gcp_storage_emulator.server import create_server

    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=name)
    server.start()
    fsspec.get_filesystem_class("gs").clear_instance_cache()  # an instance keeps to the server it has met first
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in zip(GS_VARIABLES, (f"http://127.0.0.1:{port}", "true"), strict=True):
            environment.setenv(variable, value)
        yield f"gs://{name}"
    server.stop()


@contextlib.contextmanager
def s3_bucket(name: str) -> Iterator[str]:
    """The URL of an empty bucket of moto's S3, in memory."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in settings.items():
            environment.setenv(variable, value)
        fsspec.filesystem("s3").mkdir(name)
        yield f"s3://{name}"
    server.stop()
