"""Full-text search on a real server, as the application's login, directly and through a transaction pooler."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.bulk import copy_rows
from db.engine import engine
from db.errors import SearchError
from db.search import matches, rank
from db.tenancy import tenant
from tests.db.library import ONE, TWO, Book

pytestmark = pytest.mark.usefixtures("clean")
TITLES = ["The diving of whales", "Whales, whales, whales", "A dive into bots", "Reefs"]


def found(route: str, words: str, config: str = "english") -> list[str]:
    with Session(engine(route)) as session:
        for organization, titles in ((ONE, TITLES), (TWO, ["Foreign whales"])):
            with tenant(session, organization):
                copy_rows(session, Book, [{"organization_id": organization, "title": it} for it in titles])
        with tenant(session, ONE):
            query = select(Book.title).where(matches(Book.search, words, config))
            return list(session.scalars(query.order_by(rank(Book.search, words, config).desc(), Book.title)))


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ("whales", ["Whales, whales, whales", "The diving of whales"]),
        ("dive", ["A dive into bots", "The diving of whales"]),
        ('"whales whales"', ["Whales, whales, whales"]),
        ("dive -whale", ["A dive into bots"]),
        ("reef or bot", ["A dive into bots", "Reefs"]),
        ("", []),
        ("the", []),
        ("whales & | ! ( ' :* --", ["Whales, whales, whales", "The diving of whales"]),
    ],
)
def test_words_as_people_type_them_find_this_tenants_rows_best_first(route: str, words: str, titles: list[str]) -> None:
    assert found(route, words) == titles


def test_another_configuration_takes_words_as_they_are(route: str) -> None:
    assert found(route, "diving", "simple") == []


@pytest.mark.parametrize(("words", "said"), [("a\0b", "holds a NUL byte"), ("x" * 1001, "has 1001 characters: search")])
def test_a_text_that_cannot_be_searched_for_is_refused_before_anything_is_sent(
    route: str, words: str, said: str
) -> None:
    with pytest.raises(SearchError, match=said):
        found(route, words)
