"""The migration files of an app: their order, their header and their checksum, read without running them.

The preview of every deployment does this, so it parses with `ast` and loads neither Alembic nor SQLAlchemy.
"""

from __future__ import annotations

import ast
import codecs
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from db import apps
from db.errors import RevisionError

HOME = Path(__file__).resolve().parents[2]
"""The folder that holds alembic.ini and alembic/."""

HEADER = ("Purpose", "Ticket", "Reversible", "Rollback")
HEADER_LINES = 30
UNFILLED = "why this change is needed, in a sentence"  # alembic/script.py.mako's Purpose
_LEAVE = {"autocommit_block", "in_batches"}  # calls that leave the transaction
_FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.py")


@dataclass(frozen=True)
class Revision:
    """One migration file. `checksum` is the SHA-256 of its text with LF line ends, in hex."""

    app: str
    revision: str
    down_revision: str | None
    path: Path
    checksum: str
    purpose: str
    ticket: str
    reversible: bool
    rollback: str
    transactional: bool
    """False where the file leaves its transaction (autocommit_block, in_batches): a failure may leave something."""

    @property
    def filled_in(self) -> bool:
        """Whether its header says more than the template did; what is not is never applied."""
        return self.purpose != UNFILLED


def folder(app: str, home: Path = HOME) -> Path:
    """Where the migration files of `app` are."""
    return home / "alembic" / "versions" / app


def revisions(app: str, *, home: Path = HOME) -> tuple[Revision, ...]:
    """All revisions of `app`, base first.

    Raises UnknownAppError, and RevisionError naming every file that is wrong and every break in the line.
    """
    apps.folder(app)
    found: list[Revision] = []
    problems: list[str] = []
    for path in sorted(folder(app, home).glob("*.py")):
        try:
            found.append(read(app, path))
        except RevisionError as error:
            problems.append(str(error))
    if not problems:
        problems += _breaks(found)
    if problems:
        raise RevisionError(f"migrations of {app}: " + "; ".join(problems))
    return _line(found)


def reached(app: str, target: str = "head", *, home: Path = HOME) -> tuple[Revision, ...]:
    """The revisions that stand in a database at `target` (a revision, "head" or "base"), base first.

    Raises RevisionError where there is no such revision, and what `revisions` raises.
    """
    files = revisions(app, home=home)
    names = [file.revision for file in files]
    if target not in ("head", "base", *names):
        raise RevisionError(f'{app} has no revision "{target}": there are {", ".join(names)}, head and base')
    end = len(names) if target == "head" else 0 if target == "base" else names.index(target) + 1
    return files[:end]


def applicable(app: str, target: str = "head", *, home: Path = HOME) -> tuple[Revision, ...]:
    """What `reached` returns. Raises RevisionError also for a file whose header was never filled in."""
    files = reached(app, target, home=home)
    unfilled = [file.path.name for file in files if not file.filled_in]
    if unfilled:
        raise RevisionError(
            f"{', '.join(unfilled)} ({app}): Purpose is still the template's: fill the file in, or remove it"
        )
    return files


def checksum(text: str) -> str:
    """SHA-256 in hex of `text` with CRLF and CR read as LF: Git may have changed them on checkout."""
    return hashlib.sha256(text.replace("\r\n", "\n").replace("\r", "\n").encode()).hexdigest()


def read(app: str, path: Path) -> Revision:
    """One migration file. Raises RevisionError naming the file and all that its header lacks."""
    if not _FILE_NAME.fullmatch(path.name):
        raise RevisionError(f"{path.name}: name it like 0002_what_it_does.py")
    text = _text(path)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise RevisionError(f"{path.name}: line {error.lineno} is no Python ({error.msg})") from None
    names = _assigned(tree)
    identifier, parent = names.get("revision"), names.get("down_revision")
    if identifier != path.stem:
        raise RevisionError(f'{path.name}: revision is "{identifier}", but must be "{path.stem}" like the file')
    if parent is not None and not isinstance(parent, str):
        raise RevisionError(f"{path.name}: down_revision must be one revision's name or None")
    header = _header(path.name, text)
    for function in ("upgrade", "downgrade"):
        _callable(path.name, tree, function)
    return Revision(
        app=app,
        revision=path.stem,
        down_revision=parent,
        path=path,
        checksum=checksum(text),
        purpose=header["Purpose"],
        ticket=header["Ticket"],
        reversible=header["Reversible"] == "Yes",
        rollback=header["Rollback"],
        transactional=not _LEAVE & {_called(it) for it in ast.walk(tree) if isinstance(it, ast.Call)},
    )


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _text(path: Path) -> str:
    """The file's text. Raises RevisionError unless it is ASCII with LF: then it is the same text on every machine."""
    data = path.read_bytes()
    if data.startswith(codecs.BOM_UTF8):
        raise RevisionError(f"{path.name}: it begins with a byte order mark (BOM): write ASCII without one")
    for number, line in enumerate(data.split(b"\n"), 1):
        if b"\r" in line:
            raise RevisionError(
                f"{path.name}: line {number} ends in CRLF or CR: write LF (git config core.autocrlf input)"
            )
        if not line.isascii():
            character = next(it for it in line.decode(errors="replace") if not it.isascii())
            raise RevisionError(f"{path.name}: line {number} has {character!a}, which is not ASCII")
    return data.decode()


def _callable(name: str, tree: ast.Module, function: str) -> None:
    """Raise RevisionError unless the module defines `function`, to be called without arguments as Alembic does."""
    found = next((it for it in tree.body if isinstance(it, ast.FunctionDef) and it.name == function), None)
    if found is None:
        advice = ", which raises where nothing can be undone" if function == "downgrade" else ""
        raise RevisionError(f"{name}: there is no function {function}: write one{advice}")
    given = found.args
    if len(given.posonlyargs + given.args) > len(given.defaults) or None in given.kw_defaults:
        raise RevisionError(f"{name}: {function} asks for arguments, and Alembic gives it none")


def _assigned(tree: ast.Module) -> dict[str, object]:
    """The module's top-level names that are assigned literals."""
    names: dict[str, object] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                names[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)):
                names[name] = value
    return names


def _header(name: str, text: str) -> dict[str, str]:
    lines = text.splitlines()[:HEADER_LINES]
    header: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon and key in HEADER and value.strip():
            header.setdefault(key, value.strip())
    missing = [key for key in HEADER if key not in header]
    if missing:
        raise RevisionError(f"{name}: the first {HEADER_LINES} lines lack {', '.join(f'{key}:' for key in missing)}")
    if header["Reversible"] not in {"Yes", "No"}:
        raise RevisionError(f'{name}: Reversible is "{header["Reversible"]}": write Yes or No')
    return header


def _breaks(found: list[Revision]) -> list[str]:
    """What keeps the files from being one line from one base to one head."""
    known = {revision.revision for revision in found}
    problems = [
        f'{revision.revision} follows "{revision.down_revision}", which is no file here'
        for revision in found
        if revision.down_revision is not None and revision.down_revision not in known
    ]
    followers: dict[str | None, list[str]] = {}
    for revision in found:
        followers.setdefault(revision.down_revision, []).append(revision.revision)
    for parent, children in followers.items():
        if len(children) > 1:
            start = "start the line" if parent is None else f"follow {parent}"
            problems.append(f"{' and '.join(children)} both {start}: give one of them the other as down_revision")
    if not problems and len(_line(found)) != len(found):
        problems.append("the revisions follow each other in a circle")
    return problems


def _line(found: list[Revision]) -> tuple[Revision, ...]:
    after = {revision.down_revision: revision for revision in found}
    line: list[Revision] = []
    step = after.get(None)
    while step is not None:
        line.append(step)
        step = after.get(step.revision)
    return tuple(line)
