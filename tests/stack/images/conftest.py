"""The images under test, and two places to run them in."""

from collections.abc import Iterator

import docker
import pytest

from tests.deployment import Stack
from tests.stack.images.place import Images, Place


@pytest.fixture(scope="session")
def images(stack: Stack) -> Images:
    """What the deployed stack runs on."""
    return Images(*(stack.container(role).attrs["Config"]["Image"] for role in ("postgres", "pooler")))


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def place(engine: docker.DockerClient, images: Images) -> Iterator[Place]:
    yield from _place(engine, images)


@pytest.fixture
def other_place(engine: docker.DockerClient, images: Images) -> Iterator[Place]:
    yield from _place(engine, images)


def _place(engine: docker.DockerClient, images: Images) -> Iterator[Place]:
    place = Place(engine, images)
    try:
        place.prepare()
        yield place
    finally:
        place.close()
