"""A real S3 server with TLS, as a container on a stack's network: versitygw, built like the tools are."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docker.models.containers import Container

from infra.selfhosted.certificates import authority, issue
from infra.selfhosted.credentials import free_port
from infra.selfhosted.engine import archive
from tests.deployment import CHECKOUT, Stack
from tools import go, images
from tools.cache import Artifact, Cache
from tools.places import Places

_BUILD = go.Build(
    "versitygw",
    "versitygw",
    "github.com/versity/versitygw/cmd/versitygw",
    "1.8.0",
    modules=Path(__file__).parent / "modules",
)
_IMAGE = images.Image("test-object-store", Artifact("object-store-image", _BUILD.version, (_BUILD.artifact.key,)))
_PORT, _BUCKETS = 9443, "/buckets"
KEY, SECRET, BUCKET = "key-of-the-tests", "the-secret-of-the-tests", "backups"


@dataclass(frozen=True)
class ObjectStore:
    """The server; `ca` is the PEM that vouches for it."""

    container: Container
    endpoint: str
    ca: str

    def settings(self, **others: object) -> str:
        """What pgstack:offsite is for it, as JSON."""
        return json.dumps(
            {
                "type": "s3", "endpoint": self.endpoint, "bucket": BUCKET, "region": "us-east-1", "key": KEY,
                "secret": SECRET, "ca": self.ca, "pathStyle": True, **others,
            }
        )  # fmt: skip

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody answers for a while."""
        self.container.stop(timeout=1)
        try:
            yield
        finally:
            self.container.start()


def start(stack: Stack) -> ObjectStore:
    """On the network of `stack`, with a volume of its own; both go with the stack."""
    return _started(stack, f"{stack.prefix}-store", stack.prefix, f"{stack.prefix}-store", _PORT, stack.prefix)


@contextmanager
def elsewhere(stack: Stack) -> Iterator[ObjectStore]:
    """Reached by `stack` and by every container, and no part of it: on the host's network, at its address there."""
    address = stack.engine.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    store = _started(stack, f"store-of-{stack.prefix}", "host", address, free_port(), f"store-of-{stack.prefix}")
    try:
        yield store
    finally:
        store.container.remove(force=True)
        stack.engine.volumes.get(f"store-of-{stack.prefix}").remove()


def _started(stack: Stack, name: str, network: str, host: str, port: int, owner: str) -> ObjectStore:
    labels = {"pgstack.stack": owner, "pgstack.role": "store"}
    authority_pair = authority("the store's authority")
    leaf = issue(authority_pair, host, [host] if host == name else [])  # pgBackRest takes no address but as a name
    stack.engine.volumes.create(name, labels=labels)
    container = stack.engine.containers.create(
        _image(stack),
        [
            "/usr/local/bin/versitygw", "--port", f":{port}", "--access", KEY, "--secret", SECRET, "--quiet",
            "--cert", "/tls/server.crt", "--key", "/tls/server.key", "posix", _BUCKETS,
        ],
        name=name, hostname=None if network == "host" else name, labels=labels, network=network,
        volumes={name: {"bind": _BUCKETS}},
    )  # fmt: skip
    container.put_archive("/", archive({"tls/server.crt": leaf.certificate, "tls/server.key": leaf.key}))
    container.put_archive(_BUCKETS, _bucket())
    container.start()
    return ObjectStore(container, f"{host}:{port}", authority_pair.certificate)


def _image(stack: Stack) -> str:
    places = Places.of(CHECKOUT, os.environ)
    program = go.bring(places, _BUILD, usually="70 s") / "versitygw"
    Cache(places.cache).bring(
        _IMAGE.artifact,
        lambda folder: images.from_files(folder, _IMAGE, {"usr/local/bin/versitygw": program}),
    )
    if not stack.engine.images.list(_IMAGE.tag):
        stack.engine.images.load(_IMAGE.archive(places).read_bytes())
    return _IMAGE.tag


def _bucket() -> bytes:
    """An empty folder, which is a bucket to the server, as a tar."""
    folder = tarfile.TarInfo(BUCKET)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o700
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(folder)
    return buffer.getvalue()
