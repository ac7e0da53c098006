"""What can befall a repository, done to a real one: each function damages one thing, `undone` puts it back."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.deployment import Stack
from tests.stack.repository import REPOSITORY, info, live_archive

_ASIDE = "/tmp/aside"  # noqa: S108 - in the backup container


@contextmanager
def undone(stack: Stack) -> Iterator[None]:
    """Every file is as it was before, when this ends; WAL that came meanwhile stays."""
    stack.execute("backup", "cp", "-a", REPOSITORY, _ASIDE)
    try:
        yield
    finally:
        put_back = f"cp -a {_ASIDE}/. {REPOSITORY} && rm -r {_ASIDE}"
        stack.execute("backup", "sh", "-c", put_back)


def flip_a_byte(stack: Stack, path: str) -> None:
    """In the middle of a file: another value, the same size."""
    flip = (
        'at=$(($(stat -c %s "$1") / 2)); was=$(od -An -tu1 -j "$at" -N 1 "$1");'
        ' printf "\\\\$(printf %o $((was ^ 255)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none'
    )
    stack.execute("backup", "sh", "-c", flip, "sh", path)


def truncate(stack: Stack, path: str) -> None:
    """A file that a full disk or a dead host left half written."""
    stack.execute("backup", "sh", "-c", 'truncate -s "$(($(stat -c %s "$1") / 2))" "$1"', "sh", path)


def remove(stack: Stack, path: str) -> None:
    """A file or a folder."""
    stack.execute("backup", "rm", "-r", path)


def backup(stack: Stack, number: int = -1) -> str:
    """The folder of a backup; the newest unless a number says otherwise."""
    return f"{REPOSITORY}/backup/main/{info(stack)['backup'][number]['label']}"


def bundle(stack: Stack, number: int = -1) -> str:
    """The largest file in the folder of a backup."""
    listed = stack.execute("backup", "find", backup(stack, number), "-type", "f", "-path", "*/bundle/*", "-size", "+1")
    return sorted(listed.splitlines())[0]


def segment(stack: Stack) -> tuple[str, str]:
    """The name and the file of a WAL segment of the live timeline that is not the last."""
    name = live_archive(stack)[-2]
    return name, path(stack, name)


def path(stack: Stack, name: str) -> str:
    """The file of an archived WAL segment."""
    return stack.execute("backup", "find", f"{REPOSITORY}/archive", "-name", f"{name}-*").strip()
