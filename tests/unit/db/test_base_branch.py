"""What is released is what the base branch has: in the hook, in `pgstack migrate lint` and `sum`, and in CI."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from db.errors import RevisionError
from db.migrations import committed, gates, sums
from tests.db.conftest import home as home  # noqa: PLC0414  # the fixture
from tests.unit.db.test_migration_gates import CHECKOUT, FIRST, FURTHER, UNDONE, WORKS, add_revision


@pytest.fixture
def repository(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy as a Git repository: a released commit on main, and a branch on which the work goes on."""
    for name in [it for it in os.environ if it.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for path in (".githooks/pre-commit", ".gitattributes", "Makefile"):
        (home / path).parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / path, home / path)
    git(home, "init", "--quiet", "--initial-branch=main")
    git(home, "config", "user.email", "a@example.com")
    git(home, "config", "user.name", "A")
    commit(home, "released")
    git(home, "checkout", "--quiet", "-b", "work")
    return home


def git(home: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["git", "-C", str(home), *arguments], text=True, capture_output=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def commit(home: Path, message: str) -> None:
    git(home, "add", "--all")
    git(home, "commit", "--quiet", "--message", message)


def commit_on(home: Path, message: str) -> None:
    git(home, "commit", "--quiet", "--allow-empty", "--message", message)


def head(home: Path) -> str:
    return git(home, "rev-parse", "HEAD").stdout.strip()


def clone(home: Path, folder: Path, *options: str) -> Path:
    """A clone of `home` (of main, unless the options say otherwise), by the transport that knows shallow ones."""
    git(home, "config", "receive.denyCurrentBranch", "ignore")
    branch = "trunk" if "--branch=trunk" in options else "main"
    git(home, "checkout", "--quiet", branch)  # what a clone takes for the base branch
    mine = folder / "mine"
    git(home, "clone", "--quiet", *options, f"file://{home}", str(mine))
    git(mine, "config", "user.email", "b@example.com")
    git(mine, "config", "user.name", "B")
    return mine


class TestTheBaseBranch:
    def test_a_file_that_was_edited_or_removed_since_is_refused_though_its_sum_was_changed_too(
        self, repository: Path
    ) -> None:
        (repository / FIRST).write_text((repository / FIRST).read_text() + "# an afterthought\n")
        (repository / "alembic/versions/petsitting/0001_initial_schema.py").unlink()
        sums.write("maps", {}, home=repository)
        commit(repository, "hide it")
        base = committed.base(repository)
        assert base is not None

        edited = committed.edited(base, repository)

        assert [(it.app, it.file, it.says.split(" since")[0]) for it in edited] == [
            ("maps", "0001_initial_schema.py", "it was edited"),
            ("petsitting", "0001_initial_schema.py", "it was removed"),
        ]
        assert gates.refused(["maps"], home=repository, edited=edited) == edited

    def test_what_was_added_on_the_branch_may_change_until_it_is_merged(self, repository: Path) -> None:
        for column in ("theme", "colour"):
            add_revision(repository, WORKS.replace("theme", column), undo=UNDONE)
            commit(repository, column)
            base = committed.base(repository)
            assert base is not None
            assert committed.edited(base, repository) == []

    def test_another_base_can_be_named(self, repository: Path) -> None:
        add_revision(repository, WORKS, undo=UNDONE)
        commit(repository, "on work")
        (repository / FURTHER).unlink()

        since = committed.base(repository, named="work") or ""
        assert [it.file for it in committed.edited(since, repository)] == ["0004_further.py"]

    def test_a_base_that_is_none_is_one_line_and_no_base_is_none(self, repository: Path) -> None:
        with pytest.raises(RevisionError, match='the base branch "nowhere" is no commit here'):
            committed.base(repository, named="nowhere")
        git(repository, "branch", "--delete", "--force", "main")
        assert committed.base(repository) == head(repository), "without another line, this one is the released one"
        (repository / ".git/HEAD").rename(repository / "HEAD")
        with pytest.raises(
            RevisionError, match=r"^git can't read .*, so nobody can tell what is released: `git status`"
        ):
            committed.refused(repository)
        shutil.rmtree(repository / ".git")
        assert committed.base(repository) is None
        assert committed.unseen(repository) == "not compared with a base branch: this is no Git checkout with a commit"
        assert committed.refused(repository) == []

    def test_a_shallow_clone_of_the_base_branch_says_what_it_could_not_compare(
        self, repository: Path, tmp_path: Path
    ) -> None:
        git(repository, "checkout", "--quiet", "main")
        commit_on(repository, "later")

        shallow = clone(repository, tmp_path, "--depth=1")
        assert committed.refused(shallow) == []
        assert "the last commit was not compared with the one before it: this clone is shallow" in committed.unseen(
            shallow
        )
        git(shallow, "fetch", "--quiet", "--deepen=1", "origin")
        assert committed.unseen(shallow) == ""

    def test_on_the_base_branch_its_last_commit_is_judged_too(self, repository: Path) -> None:
        git(repository, "checkout", "--quiet", "main")
        assert committed.base(repository) == head(repository)
        (repository / FIRST).write_text((repository / FIRST).read_text() + "# an afterthought\n")
        commit(repository, "past the hook")

        assert [it.file for it in committed.refused(repository)] == ["0001_initial_schema.py"]

    def test_a_draft_that_was_edited_before_it_came_to_the_base_branch_is_no_edit_of_a_released_file(
        self, repository: Path, tmp_path: Path
    ) -> None:
        for column in ("theme", "colour"):
            add_revision(repository, WORKS.replace("theme", column), undo=UNDONE)
            commit(repository, column)
        git(repository, "checkout", "--quiet", "main")
        before = head(repository)
        git(repository, "merge", "--quiet", "--ff-only", "work")
        fresh = clone(repository, tmp_path)  # which knows nothing of that

        assert committed.refused(repository) == []
        [unsure] = committed.refused(fresh)
        assert unsure.says.endswith("name what the base branch was before it with --base or PGSTACK_BASE")
        assert committed.refused(fresh, named=before) == []

    def test_every_commit_of_the_last_push_is_judged_and_in_a_fresh_clone_those_since_the_named_one(
        self, repository: Path, tmp_path: Path
    ) -> None:
        mine = clone(repository, tmp_path)
        before = head(mine)
        (mine / FIRST).write_text((mine / FIRST).read_text() + "# an afterthought\n")
        commit(mine, "past the hook")
        commit_on(mine, "later")
        git(mine, "push", "--quiet", "origin", "HEAD:main")
        (tmp_path / "ci").mkdir()
        fresh = clone(repository, tmp_path / "ci")

        assert [it.file for it in committed.refused(mine)] == ["0001_initial_schema.py"]
        assert [it.file for it in committed.refused(fresh, named=before)] == ["0001_initial_schema.py"]

    def test_what_was_not_pushed_is_a_draft_on_the_base_branch_too(self, repository: Path, tmp_path: Path) -> None:
        mine = clone(repository, tmp_path)
        add_revision(mine, WORKS, undo=UNDONE)
        commit(mine, "a draft")
        add_revision(mine, WORKS.replace("theme", "colour"), undo=UNDONE)
        assert committed.refused(mine) == []
        git(mine, "checkout", "--quiet", "--detach")
        assert committed.refused(mine) == []

        git(mine, "push", "--quiet", "origin", "HEAD:main")
        assert [it.file for it in committed.refused(mine)] == ["0004_further.py"]

    def test_the_remote_says_which_branch_is_the_base(self, repository: Path, tmp_path: Path) -> None:
        git(repository, "branch", "--move", "main", "trunk")
        mine = clone(repository, tmp_path, "--branch=trunk")
        add_revision(mine, WORKS, undo=UNDONE)
        commit(mine, "a draft")

        assert committed.base(mine) == head(repository)

    def test_a_clone_without_the_base_branch_is_refused_and_not_let_through(
        self, repository: Path, tmp_path: Path
    ) -> None:
        commit_of_main = head(repository)
        (repository / FIRST).write_text((repository / FIRST).read_text() + "# an afterthought\n")
        commit(repository, "edited on work")
        shallow = clone(repository, tmp_path, "--branch=work", "--depth=1", "--single-branch")

        with pytest.raises(RevisionError) as unknown:
            committed.refused(shallow)
        git(shallow, "fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main")
        git(shallow, "fetch", "--quiet", "--depth=1", "origin", "work")
        commit_on(repository, "later")
        git(shallow, "fetch", "--quiet", "--depth=1", "origin", "+main:refs/remotes/origin/main")
        with pytest.raises(RevisionError) as cut_off:
            committed.refused(shallow)
        git(shallow, "fetch", "--quiet", "--unshallow", "origin")

        assert "the remote's base branch is no commit here" in str(unknown.value)
        assert "`git fetch --unshallow`" in str(unknown.value)
        assert 'the base branch "origin/main" shares no commit with HEAD: fetch its history' in str(cut_off.value)
        assert committed.base(shallow) == commit_of_main
        assert [it.file for it in committed.refused(shallow)] == ["0001_initial_schema.py"]


class TestTheHook:
    """`make hooks`, then `git commit`, as a developer types them."""

    @pytest.fixture
    def hooked(self, repository: Path) -> Path:
        for path in ("db", "ops", "pyproject.toml"):
            source = CHECKOUT / path
            (shutil.copytree if source.is_dir() else shutil.copy)(source, repository / path)
        command = repository / ".venv/bin/pgstack"
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\nPYTHONPATH="{repository}" exec {sys.executable} -m ops.main "$@"\n')
        command.chmod(0o755)
        (repository / ".gitignore").write_text(".venv\n__pycache__\n")
        commit(repository, "tools")
        subprocess.run(["make", "--quiet", "hooks"], cwd=repository, check=True)
        return repository

    def commit(self, home: Path, *paths: str) -> subprocess.CompletedProcess[str]:
        git(home, "add", "--all", "--", *(paths or (".",)))
        return git(home, "commit", "--message", "a change", check=False)

    def test_an_edited_migration_is_refused_by_name(self, hooked: Path) -> None:
        (hooked / FIRST).write_text((hooked / FIRST).read_text() + "# an afterthought\n")

        done = self.commit(hooked)

        assert done.returncode != 0
        assert f"{FIRST}: committed: it was edited since commit" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr

    def test_a_new_one_needs_its_sum_and_what_is_staged_counts(self, hooked: Path) -> None:
        add_revision(hooked, WORKS, undo=UNDONE)
        refused = self.commit(hooked)
        subprocess.run([hooked / ".venv/bin/pgstack", "migrate", "sum", "maps"], check=True, cwd=hooked)
        without_the_sum = self.commit(hooked, FURTHER)
        accepted = self.commit(hooked)

        assert f"{FURTHER}: additional: checksums.txt has no line for it" in refused.stdout + refused.stderr
        assert without_the_sum.returncode != 0
        assert accepted.returncode == 0, accepted.stdout + accepted.stderr

    def test_a_draft_on_ones_own_branch_may_be_committed_again_with_its_new_sum(self, hooked: Path) -> None:
        def sum_and_commit() -> subprocess.CompletedProcess[str]:
            subprocess.run([hooked / ".venv/bin/pgstack", "migrate", "sum", "maps"], check=True, cwd=hooked)
            return self.commit(hooked)

        add_revision(hooked, WORKS, undo=UNDONE)
        first = sum_and_commit()
        add_revision(hooked, WORKS.replace("theme", "colour"), undo=UNDONE.replace("theme", "colour"))
        without_sum = self.commit(hooked)
        again = sum_and_commit()
        (hooked / FIRST).write_text((hooked / FIRST).read_text() + "# an afterthought\n")
        released = self.commit(hooked)

        assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
        assert f"{FURTHER}: edited: it is not what checksums.txt says" in without_sum.stdout + without_sum.stderr
        assert "if it was never released: `pgstack migrate sum maps`" in without_sum.stdout + without_sum.stderr
        assert f"{FIRST}: committed: it was edited since commit" in released.stdout + released.stderr

    def test_a_commit_without_migrations_is_none_of_its_business(self, hooked: Path) -> None:
        (hooked / FIRST).write_text("not staged")
        (hooked / "README.md").write_text("hello\n")

        assert self.commit(hooked, "README.md").returncode == 0
