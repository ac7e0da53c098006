"""The images under test, and two places to run them in."""

import os
from collections.abc import Iterator

import pytest

import docker
from tests.stack.images.place import Images, Place


@pytest.fixture(scope="session")
def images() -> Images:
    """Tags from the environment: PGSTACK_TEST_POSTGRES_IMAGE and PGSTACK_TEST_POOLER_IMAGE."""
    return Images(os.environ["PGSTACK_TEST_POSTGRES_IMAGE"], os.environ["PGSTACK_TEST_POOLER_IMAGE"])


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
