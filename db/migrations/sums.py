"""The sum file of an app: a committed line for each of its migration files, in the form that sha256sum reads.

Two branches that each add a migration so meet in a conflict, which is the moment to number them anew. A line is only
ever added: what a committed line says of its file holds for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from db.errors import RevisionError
from db.migrations.findings import Finding
from db.migrations.revisions import HOME, Revision, folder, revisions

NAME = "checksums.txt"
_HEX = 64  # digits of a SHA-256


def listed(app: str, home: Path = HOME) -> dict[str, str]:
    """Checksums by file name; none where there is no sum file. Raises RevisionError for a line that is no sum."""
    path = folder(app, home) / NAME
    return parsed(path.read_bytes().decode(), str(path.relative_to(home))) if path.exists() else {}


def parsed(text: str, path: str) -> dict[str, str]:
    """The content of a sum file; `path` is what errors call it."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        checksum, _, name = line.partition("  ")
        if len(checksum) != _HEX or not name or name in found:
            raise RevisionError(f'{path}: line {number} is "{line}": it needs a checksum, two spaces and a file name')
        found[name] = checksum
    return found


def compare(
    app: str, sums: Mapping[str, str], files: Sequence[Revision], *, complete: bool, released: bool = False
) -> list[Finding]:
    """Files that were changed or are missing and, where `complete`, such as have no line yet.

    `released` says that none of them can be a draft.
    """
    found = []
    present = {file.path.name: file for file in files}
    for name, checksum in sums.items():
        if name not in present:
            found.append(Finding(app, name, "missing", f"it is in {NAME} but not here: bring it back"))
        elif present[name].checksum != checksum:
            says = f"it is not what {NAME} says: bring it back, and make the change as a new revision"
            draft = "" if released else f"; or, if it was never released: `pgstack migrate sum {app}`"
            found.append(Finding(app, name, "edited", says + draft))
    if complete:
        says = f"{NAME} has no line for it: `pgstack migrate sum {app}` adds it once the file is finished"
        found += [Finding(app, name, "additional", says) for name in present if name not in sums]
    return found


def verify(app: str, files: Sequence[Revision], home: Path = HOME, *, drafts: bool = False) -> tuple[str, ...]:
    """Raise RevisionError naming every file that its sum file knows otherwise or, unless `drafts`, not at all.

    Returns the names of the files without a line.
    """
    found = compare(app, listed(app, home), files, complete=True)
    refused = [it for it in found if not (drafts and it.rule == "additional")]
    if refused:
        raise RevisionError(f"nothing was changed: {'; '.join(map(str, refused))}")
    return tuple(it.file for it in found)


def write(app: str, committed: Mapping[str, str], *, home: Path = HOME) -> tuple[str, ...]:
    """Add or correct the lines of files that are not committed; returns the names of those files.

    `committed` is what the sum file says in Git. Raises RevisionError where one of its files was changed or is missing,
    or a header is still the template's.
    """
    files = revisions(app, home=home)
    if refused := compare(app, committed, files, complete=False, released=True):
        raise RevisionError("; ".join(map(str, refused)))
    if drafts := [file.path.name for file in files if not file.filled_in]:
        raise RevisionError(f"{', '.join(drafts)} ({app}): Purpose is still the template's: fill it in first")
    before = listed(app, home)
    after = {file.path.name: file.checksum for file in files}
    if before != after:
        text = "".join(f"{checksum}  {name}\n" for name, checksum in after.items())
        (folder(app, home) / NAME).write_bytes(text.encode())
    return tuple(name for name, checksum in after.items() if before.get(name) != checksum)
