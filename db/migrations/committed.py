"""Migration files against Git: what stands on the base branch is released, and is never edited or removed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from db.errors import RevisionError
from db.migrations import sums
from db.migrations.findings import Finding
from db.migrations.revisions import HOME

_BRANCHES = ("origin/main", "main")
_FOLDER = "alembic/versions"


def base(home: Path = HOME, *, named: str | None = None) -> str | None:
    """The commit at which this branch left the base branch: `named`, else origin/main or main; None without any.

    Raises RevisionError where `named` is no commit, or one that this branch never left.
    """
    for branch in (named,) if named else _BRANCHES:
        if _git(home, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}") is not None:
            left = _git(home, "merge-base", str(branch), "HEAD")
            if left is not None:
                return left.strip()
            if named:
                raise RevisionError(f'the base branch "{named}" shares no commit with HEAD: fetch its history')
    if named:
        raise RevisionError(f'the base branch "{named}" is no commit here: name another, or fetch it')
    return None


def head(home: Path = HOME) -> str | None:
    """The commit that is checked out, None before the first one or without Git."""
    found = _git(home, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return found.strip() if found is not None else None


def edited(commit: str, home: Path = HOME, *, staged: bool = False) -> list[Finding]:
    """Migration files of `commit` that the working tree, or what is staged, has otherwise or not at all."""
    options = ["--cached"] if staged else []
    # --no-ext-diff and --no-textconv: what a user's configuration shows instead must not decide
    names = _git(
        home, "diff", *options, "--no-renames", "--no-ext-diff", "--no-textconv", "--name-status", "-z", commit, "--",
        _FOLDER,
    )  # fmt: skip
    if names is None:
        raise RevisionError(f"git can't compare {_FOLDER} with {commit[:12]}")
    fields = names.rstrip("\0").split("\0")
    found = []
    for status, name in zip(fields[::2], fields[1::2], strict=True) if names else ():
        path = Path(name)
        if path.suffix == ".py" and status != "A":
            what = "was removed" if status == "D" else "was edited"
            says = f"it {what} since commit {commit[:12]}: bring it back, and make the change as a new revision"
            found.append(Finding(path.parent.name, path.name, "committed", says))
    return found


def sums_at(commit: str | None, app: str, home: Path = HOME) -> dict[str, str]:
    """What the sum file of `app` says in `commit`; nothing where there is none."""
    path = f"{_FOLDER}/{app}/{sums.NAME}"
    text = _git(home, "show", f"{commit}:./{path}") if commit else None
    return sums.parsed(text, path) if text else {}


def export_staged(target: Path, home: Path = HOME) -> None:
    """Write what is staged of alembic.ini and alembic/ into `target`. Raises RevisionError without Git."""
    listing = _git(home, "ls-files", "-z", "--", "alembic", "alembic.ini")
    done = listing and _git(home, "checkout-index", "-z", "--stdin", f"--prefix={target}/", given=listing)
    if done is None:
        raise RevisionError(f"{home} is no Git checkout: there is nothing staged")


def _git(home: Path, *arguments: str, given: str | None = None) -> str | None:
    """What git says, None where it fails or is not installed."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(
        ["git", "-C", str(home), *arguments], text=True, input=given, capture_output=True, check=False
    )
    return done.stdout if done.returncode == 0 else None
