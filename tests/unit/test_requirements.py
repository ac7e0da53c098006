"""docs/requirements.md is current, and no requirement is without an answer."""

from pathlib import Path

import pytest

from tests import requirements


def test_every_requirement_has_its_proof_and_the_page_says_which() -> None:
    listed, proven = requirements.listed(), requirements.proven()
    assert requirements.problems(listed, proven) == []
    assert requirements.PAGE.read_text() == requirements.page(listed, proven), "run `make docs` and commit"


def test_what_nothing_answers_and_what_is_not_listed_is_named(tmp_path: Path) -> None:
    (tmp_path / "maps.toml").write_text(
        '[users.id]\ndocument = "maps-schema.md"\nline = 7\nsays = "text key"\n'
        '[users.name]\ndocument = "maps-schema.md"\nline = 8\nsays = "a name"\nanswered_by = "elsewhere"\n'
    )
    listed = requirements.listed(tmp_path)
    assert requirements.problems(listed, {"maps.users.age": ["tests/db/test_x.py::test_y"]}) == [
        "maps.users.id: no test proves it",
        "tests/db/test_x.py::test_y names maps.users.age, which is not listed",
    ]
    shown = requirements.page(listed, {"maps.users.id": ["tests/db/test_x.py::test_y"]})
    assert "| text key | maps-schema.md:7 | `db/test_x.py::test_y` |" in shown
    assert "| a name | maps-schema.md:8 | elsewhere |" in shown


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("make test, docs/requirements.md", []),
        ("tests/requirements.py, tests/unit/test_requirements.py::test_an_entry_that_lacks_a_part_is_named", []),
        ("as tests/db/test_gone.py says", ["maps.users.id: there is no tests/db/test_gone.py"]),
        (
            "tests/requirements.py::test_gone, make test",
            ["maps.users.id: there is no tests/requirements.py::test_gone"],
        ),
    ],
)
def test_an_answer_that_names_a_test_there_is_not_is_named(answer: str, complaint: list[str]) -> None:
    listed = {"maps.users.id": requirements.Requirement("maps-schema.md", 7, "text key", answer)}
    assert requirements.problems(listed, {}) == complaint


def test_an_entry_that_lacks_a_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "maps.toml").write_text('[users.id]\nsays = "text key"\n')
    with pytest.raises(ValueError, match=r"maps.toml: maps.users.id: .*'document' and 'line'"):
        requirements.listed(tmp_path)
