"""Migration files against Git: what stands on the base branch is released, and is never edited or removed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from db.errors import RevisionError
from db.migrations import sums
from db.migrations.findings import Finding
from db.migrations.revisions import HOME

_FOLDER = "alembic/versions"
_NEVER_THERE = (
    "; or, where that commit was but a draft that came with the same push or merge, name what the base branch was"
    " before it with --base or PGSTACK_BASE"
)
_DEFAULTS = ("main", "master")  # where origin/HEAD does not say


def base(home: Path = HOME, *, named: str | None = None) -> str | None:
    """The commit up to which migrations are released: where HEAD left the base branch; None without Git or a commit.

    The base branch is `named`, else that of the remote origin, else main or master. On the base branch itself that is
    HEAD, or, where it was not pushed yet, what the remote has. Without a remote and such a branch, HEAD is released.
    Raises RevisionError where the base branch is not here, or shares no commit that is: what can't be compared might
    have been edited.
    """
    head = _commit(home, "HEAD")
    if head is None:
        if (home / ".git").exists() and _git(home, "rev-parse", "--git-dir") is None:  # another user's, for instance
            raise RevisionError(f"git can't read {home}, so nobody can tell what is released: `git status` says why")
        return None
    branch = named or _default(home)
    if branch is None and not (_git(home, "remote") or "").strip():
        return head
    fetch = "`git fetch --unshallow`, in CI a checkout of the whole history" if _shallow(home) else "`git fetch origin`"
    if branch is None or _commit(home, branch) is None:
        told = f'the base branch "{branch}"' if branch else "the remote's base branch"
        raise RevisionError(
            f"{told} is no commit here, so nobody can tell which migrations are released: {fetch}, or name a branch"
            " that is here with --base or PGSTACK_BASE"
        )
    left = _git(home, "merge-base", branch, "HEAD")
    if left is None:
        raise RevisionError(f'the base branch "{branch}" shares no commit with HEAD: fetch its history ({fetch})')
    return left.strip()


def _default(home: Path) -> str | None:
    """The base branch of this checkout."""
    said = (_git(home, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD") or "").strip()
    branches = [*([said] if said else []), *(f"origin/{it}" for it in _DEFAULTS), *_DEFAULTS]
    return next((it for it in branches if _commit(home, it)), None)


def _commit(home: Path, name: str) -> str | None:
    found = _git(home, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    return found.strip() if found is not None else None


def _shallow(home: Path) -> bool:
    return (_git(home, "rev-parse", "--is-shallow-repository") or "").strip() == "true"


def unseen(home: Path = HOME, *, named: str | None = None) -> str:
    """What `refused` can't compare though nothing is wrong with the checkout, "" if it compares all."""
    released = base(home, named=named)
    if released is None:
        return "not compared with a base branch: this is no Git checkout with a commit"
    if released == _commit(home, "HEAD") and _shallow(home) and _commit(home, "HEAD^1") is None:
        return "the last commit was not compared with the one before it: this clone is shallow (git fetch --deepen=1)"
    return ""


def refused(home: Path = HOME, *, named: str | None = None, staged: bool = False) -> list[Finding]:
    """Released migration files that the working tree, or what is staged, has otherwise or not at all.

    Where HEAD itself is released, it is compared with what the base branch was before, too: in CI, it was just pushed.
    Nothing without Git. Raises what `base` raises.
    """
    released = base(home, named=named)
    if released is None:
        return []
    found = edited(released, home, staged=staged)
    if staged or released != _commit(home, "HEAD"):
        return found
    known = {(it.app, it.file) for it in found}
    moved = _before_its_last_move(home, named or _default(home))
    before = moved or _commit(home, "HEAD^1")
    for it in edited(before, home) if before else ():
        if (it.app, it.file) not in known:
            found.append(it if moved else replace(it, says=it.says + _NEVER_THERE))
    return found


def _before_its_last_move(home: Path, branch: str | None) -> str | None:
    """What the reflog says that `branch` was before the merge, pull or push which made it HEAD; a clone has none yet.

    The commit before HEAD is often none of the base branch: the first draft, of two commits that came together.
    """
    lines = (_git(home, "log", "--walk-reflogs", "--format=%H", branch, "--") or "").split() if branch else []
    oldest = _commit(home, f"{branch}@{{{len(lines)}}}") if lines else None  # what the first entry started from
    head = _commit(home, "HEAD")
    entries = [it for it in (*lines, oldest) if it is not None and it != head]
    return next((it for it in entries if _git(home, "merge-base", "--is-ancestor", it, "HEAD") is not None), None)


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
            says = (
                f"it {what} since commit {commit[:12]} of the base branch: bring it back"
                f" (git checkout {commit[:12]} -- {name}), and make the change as a new revision"
            )
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
