"""Nearest neighbours with pgvector, and without it."""

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from db import engine, migrations, seeds
from db.apps.dovvybuddy.models import DIMENSIONS, ContentEmbedding
from db.apps.dovvybuddy.queries import destinations_by_name, nearest, sites_by_name
from db.apps.dovvybuddy.seeds.demo import CHUNKS, vector
from db.errors import DbError, DocumentError, EmbeddingError
from db.urls import DatabaseURL
from tests.db.conftest import Prepare, Prepared, Server


def migrated(prepare: Prepare, *server: Server) -> Prepared:
    prepared = prepare("dovvybuddy", *server)
    migrations.upgrade("dovvybuddy", prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture(scope="module")
def with_vector(prepare: Prepare) -> Prepared:
    return migrated(prepare)


@pytest.fixture(scope="module")
def without_vector(prepare: Prepare, server_without_vector: Server) -> Prepared:
    return migrated(prepare, server_without_vector)


@pytest.fixture(params=["with_vector", "without_vector"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """The application's session in a seeded database, with and without pgvector."""
    prepared = request.getfixturevalue(request.param)
    seeds.seed("dovvybuddy", prepared.owner_url, ["base", "demo"], environment="dev", report=lambda _: None)
    with Session(engine.unpooled(DatabaseURL.parse(prepared.app_url))) as opened:
        yield opened
        opened.rollback()


def unit(*values: Any) -> list[Any]:
    return [*values, *([0.0] * (DIMENSIONS - len(values)))]


@pytest.mark.requirement("dovvybuddy.checks.vector", "dovvybuddy.risks.rows")
def test_a_stored_embedding_comes_back(session: Session) -> None:
    session.add(ContentEmbedding(content_path="a", chunk_text="b", embedding=unit(0.25, -0.5)))
    session.flush()
    session.expire_all()

    found = session.scalars(select(ContentEmbedding).where(ContentEmbedding.content_path == "a")).one()
    assert found.embedding == unit(0.25, -0.5)
    assert found.metadata_ == {}


def test_the_nearest_come_first_with_their_cosine_distance(session: Session) -> None:
    for name, direction in (("same", unit(2.0)), ("diagonal", unit(1.0, 1.0)), ("opposite", unit(-1.0))):
        session.add(ContentEmbedding(content_path=name, chunk_text=name, embedding=direction))
    session.flush()

    found = {it.chunk.content_path: it.distance for it in nearest(session, unit(1.0), limit=100)}

    assert list(found)[:2] == ["same", "diagonal"]
    assert list(found)[-1] == "opposite"
    assert found["same"] == pytest.approx(0, abs=1e-6)
    assert found["diagonal"] == pytest.approx(1 - math.sqrt(0.5), abs=1e-6)
    assert found["opposite"] == pytest.approx(2, abs=1e-6)


def test_a_demo_chunk_is_found_by_its_own_vector(session: Session) -> None:
    path = CHUNKS[2][0]

    [found] = nearest(session, vector(path), limit=1)

    assert found.chunk.content_path == path
    assert found.distance == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("embedding", "complaint"),
    [
        ([1.0, 2.0], "the embedding has 2 dimensions, the column takes 1536"),
        (unit(float("nan")), "dimension 0 of the embedding is nan: it must be a finite number"),
        (unit(1.0, float("inf")), "dimension 1 of the embedding is inf: it must be a finite number"),
        (unit(-1e39), "dimension 0 of the embedding is -1e\\+39: it must fit a 4-byte float"),
        (unit(0.0, -0.0), "the embedding is all zeros: nothing is near it"),
        (unit(1e-46), "the embedding's length is 1e-46: nothing is near it, scale it to about 1"),
        (unit(1e-20, 1e-20), "the embedding's length is 1.41421e-20: nothing is near it"),
        (unit(1e20), "the embedding's length is 1e\\+20: nothing is near it"),
        (1.0, "the embedding is a float: it must be a list of 1536 numbers"),
        (unit("1"), "dimension 0 of the embedding is '1': it must be a finite number"),
    ],
)
def test_a_vector_that_cannot_be_stored_is_named_before_it_is_sent(
    session: Session, embedding: list[float], complaint: str
) -> None:
    with pytest.raises(EmbeddingError, match=complaint):
        nearest(session, embedding)
    session.add(ContentEmbedding(content_path="a", chunk_text="b", embedding=embedding))
    with pytest.raises(EmbeddingError, match=complaint):
        session.flush()


def test_what_is_near_to_nothing_is_asked_in_vain(session: Session) -> None:
    with pytest.raises(EmbeddingError, match="the embedding is a NoneType: it must be a list of 1536 numbers"):
        nearest(session, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [1.3e-19, 1.7e19])
def test_the_shortest_and_the_longest_vector_have_a_distance(session: Session, length: float) -> None:
    assert all(math.isfinite(it.distance) for it in nearest(session, unit(length), limit=5))


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_an_impossible_limit_is_refused(session: Session, limit: int) -> None:
    with pytest.raises(DbError, match=f"limit is {limit}: give a number from 1 to 1000"):
        nearest(session, unit(1.0), limit)


def test_destinations_and_sites_are_found_by_a_part_of_their_name(session: Session) -> None:
    assert [it.name for it in destinations_by_name(session, "ZUM")] == ["Cozumel"]
    assert [it.name for it in destinations_by_name(session, "mexico")] == ["Cozumel"]
    assert [it.name for it in sites_by_name(session, "wall")] == ["Santa Rosa Wall", "Villa Blanca Wall"]
    assert sites_by_name(session, "%") == []


@pytest.mark.requirement("dovvybuddy.indexes.embedding", "dovvybuddy.decisions.hnsw")
def test_the_search_uses_the_hnsw_index(with_vector: Prepared) -> None:
    seeds.seed("dovvybuddy", with_vector.owner_url, ["demo"], environment="dev", report=lambda _: None)
    statements = []
    source = engine.unpooled(DatabaseURL.parse(with_vector.app_url))
    with psycopg.connect(with_vector.owner_url) as owner:
        [(index,)] = owner.execute("SELECT pg_get_indexdef('ix_content_embeddings_embedding'::regclass)").fetchall()
        owner.execute("DROP INDEX ix_content_embeddings_embedding")  # one build is faster than row by row
        owner.execute(
            "INSERT INTO content_embeddings (content_path, chunk_text, embedding)"
            " SELECT 'bulk', 'bulk', ARRAY(SELECT random() - 0.5 + 0 * n FROM generate_series(1, 1536))::vector"
            " FROM generate_series(1, 2000) n"
        )
        owner.execute(index)
        owner.execute("ANALYZE content_embeddings")
    with Session(source) as session:
        event.listen(source, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
        nearest(session, vector(CHUNKS[0][0]), limit=5)
        [(statement, values)] = [(text, given) for text, given in statements if "<=>" in text]
        plan = session.connection().exec_driver_sql(f"EXPLAIN {statement}", values).scalars().all()

    assert any("Index Scan using ix_content_embeddings_embedding" in line for line in plan), plan
    assert not any("Seq Scan" in line for line in plan)


def test_more_than_forty_neighbours_come_back_though_pgvector_looks_at_forty_by_default(with_vector: Prepared) -> None:
    with Session(engine.unpooled(DatabaseURL.parse(with_vector.app_url))) as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        for number in range(80):
            session.add(ContentEmbedding(content_path="many", chunk_text="x", embedding=unit(1.0, number / 100)))
        session.flush()

        assert len(nearest(session, unit(1.0), limit=60)) == 60
        session.rollback()


ROWS, RARE, QUERIES = 10_000, 100, 30  # chunks, of which one in RARE passes the filter, and searches


@pytest.fixture(scope="module")
def chunks(prepare: Prepare) -> Prepared:
    prepared = migrated(prepare)
    write_chunks(prepared)
    return prepared


def write_chunks(prepared: Prepared) -> None:
    """ROWS chunks of 24 free dimensions, of which one in RARE is of site 7, and the index over them."""
    with psycopg.connect(prepared.owner_url) as owner:
        [(index,)] = owner.execute("SELECT pg_get_indexdef('ix_content_embeddings_embedding'::regclass)").fetchall()
        owner.execute("DROP INDEX ix_content_embeddings_embedding")
        owner.execute("SELECT setseed(0.25)")
        owner.execute(
            "INSERT INTO content_embeddings (content_path, chunk_text, embedding, metadata)"
            " SELECT 'sites/' || n % 100 || '/' || n, 'chunk', (ARRAY(SELECT random() - 0.5 + 0 * n"
            " FROM generate_series(1, 24)) || array_fill(0::float8, ARRAY[1512]))::vector,"
            " jsonb_build_object('site', n % 100, 'tags', jsonb_build_array('t' || n % 3))"
            f" FROM generate_series(1, {ROWS}) n"
        )
        # in one process: a container's shared memory is too small for several
        owner.execute("SET LOCAL max_parallel_maintenance_workers = 0; SET LOCAL maintenance_work_mem = '256MB'")
        owner.execute(index)
        owner.execute("ANALYZE content_embeddings")


def rare_queries() -> list[list[float]]:
    numbers = random.Random(7)  # noqa: S311  # the same in every run
    return [[numbers.random() - 0.5 for _ in range(24)] + [0.0] * (DIMENSIONS - 24) for _ in range(QUERIES)]


def exact(session: Session, query: list[float], limit: int) -> list[Any]:
    """The true neighbours of site 7: an expression that no index serves."""
    found = session.execute(
        text(
            "SELECT id FROM content_embeddings WHERE metadata @> '{\"site\": 7}'"
            " ORDER BY (embedding <=> CAST(:query AS vector)) + 0 LIMIT :limit"
        ),
        {"query": str(query), "limit": limit},
    )
    return list(found.scalars())


class TestUnderAFilter:
    """10,000 chunks of 24 free dimensions, of which one in a hundred passes the filter."""

    @pytest.fixture
    def filtered(self, chunks: Prepared) -> Iterator[Session]:
        with Session(engine.unpooled(DatabaseURL.parse(chunks.app_url))) as opened:
            yield opened
            opened.rollback()

    def plan_of_the_search(self, session: Session, query: list[float], limit: int) -> list[str]:
        """What EXPLAIN says of the search that `nearest` sends first, under the settings that it sends."""
        sent: list[tuple[str, Any]] = []
        source = session.get_bind()
        listener = lambda *call: sent.append((call[2], call[3]))  # noqa: E731
        event.listen(source, "before_cursor_execute", listener)
        nearest(session, query, limit, metadata={"site": 7})
        event.remove(source, "before_cursor_execute", listener)
        number = next(n for n, (statement, _) in enumerate(sent) if "<=>" in statement)
        connection = session.connection()
        connection.exec_driver_sql(*sent[number - 1])  # the settings
        statement, values = sent[number]
        return [str(line) for line in connection.exec_driver_sql(f"EXPLAIN ANALYZE {statement}", values).scalars()]

    @pytest.mark.requirement("dovvybuddy.indexes.embedding", "dovvybuddy.decisions.hnsw")
    def test_the_index_finds_95_of_100_true_neighbours_under_a_filter_and_never_fewer_than_asked(
        self, filtered: Session
    ) -> None:
        # this table is small enough for the planner to read all of it, which is exact and proves nothing
        filtered.execute(text("SET LOCAL enable_seqscan = off"))
        queries = rare_queries()
        plan = self.plan_of_the_search(filtered, queries[0], 10)
        assert any("Index Scan using ix_content_embeddings_embedding" in line for line in plan), plan

        hits = 0
        for query in queries:
            found = nearest(filtered, query, 10, metadata={"site": 7})
            assert len(found) == 10
            assert all(it.chunk.metadata_["site"] == 7 for it in found)
            assert [it.distance for it in found] == sorted(it.distance for it in found)
            hits += len({it.chunk.id for it in found} & set(exact(filtered, query, 10)))
        assert hits / (10 * len(queries)) >= 0.95

    def test_without_the_iterative_scan_the_same_query_loses_most_rows(self, filtered: Session) -> None:
        filtered.execute(text("SET LOCAL enable_seqscan = off"))
        found = filtered.execute(
            text(
                "SELECT id FROM content_embeddings WHERE metadata @> '{\"site\": 7}'"
                " ORDER BY embedding <=> CAST(:query AS vector) LIMIT 10"
            ),
            {"query": str(rare_queries()[0])},
        )

        assert len(found.all()) < 5

    def test_all_rows_of_the_filter_come_back_where_more_are_asked_for(self, filtered: Session) -> None:
        found = nearest(filtered, rare_queries()[0], 200, metadata={"site": 7})

        assert [it.chunk.id for it in found] == exact(filtered, rare_queries()[0], 200)
        assert len(found) == ROWS // RARE

    def test_filters_are_combined_and_a_path_is_taken_literally(self, filtered: Session) -> None:
        found = nearest(filtered, rare_queries()[0], 50, metadata={"tags": ["t1"]}, path_prefix="sites/7/")

        assert len(found) == 34
        assert all(
            it.chunk.content_path.startswith("sites/7/") and it.chunk.metadata_["tags"] == ["t1"] for it in found
        )
        assert nearest(filtered, rare_queries()[0], metadata={"site": 1000}) == []
        with pytest.raises(
            DocumentError, match=r"^dovvybuddy\.content_embeddings\.metadata field a: a text cannot hold a NUL"
        ):
            nearest(filtered, rare_queries()[0], metadata={"a": "\0"})
        assert nearest(filtered, rare_queries()[0], path_prefix="sites/%/") == []

    def test_the_settings_end_with_the_search(self, filtered: Session) -> None:
        names = ("hnsw.iterative_scan", "hnsw.ef_search", "hnsw.max_scan_tuples")
        nearest(filtered, rare_queries()[0], metadata={"site": 7})

        assert [filtered.scalar(text(f"SHOW {name}")) for name in names] == ["off", "40", "20000"]


@pytest.mark.requirement("dovvybuddy.risks.no-pgvector")
class TestWithoutPgvector:
    def test_embeddings_are_json_without_an_index(self, without_vector: Prepared) -> None:
        assert without_vector.rows(
            "SELECT format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
            " WHERE attrelid = 'dovvybuddy.content_embeddings'::regclass AND attname = 'embedding'"
        ) == [("jsonb", True)]
        assert without_vector.rows("SELECT FROM pg_indexes WHERE indexdef LIKE '%%(embedding%%'") == []

    @pytest.mark.parametrize("value", [[1, 2, 3], [], {"a": 1}, "text", 5])
    def test_anything_but_1536_numbers_is_refused(self, without_vector: Prepared, value: object) -> None:
        with (
            psycopg.connect(without_vector.app_url) as app,
            pytest.raises(psycopg.errors.CheckViolation, match="ck_content_embeddings_embedding"),
        ):
            app.execute(
                "INSERT INTO content_embeddings (content_path, chunk_text, embedding) VALUES ('a', 'b', %s)",
                (json.dumps(value),),
            )

    def test_it_can_be_undone_and_done_again(self, without_vector: Prepared) -> None:
        migrations.downgrade("dovvybuddy", without_vector.owner_url, target="base", report=lambda _: None)
        done = migrations.upgrade("dovvybuddy", without_vector.owner_url, report=lambda _: None)

        assert done == tuple(it.revision for it in migrations.revisions("dovvybuddy"))
