"""panamia's timeline against its definition, on members who follow, address and answer each other at random."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, exists, select, text
from sqlalchemy.orm import Session

from db import connections, engine, migrations
from db.apps.panamia.models import SocialActor, SocialFollow, SocialRecipient, SocialStatus
from db.apps.panamia.queries import Position, timeline
from db.apps.panamia.seeds import load
from db.ids import seeded_id
from db.seeds import generated
from db.urls import DatabaseURL
from tests.db.conftest import Prepare, Prepared

MEMBERS, FOLLOWS = 2_000, 20
NEEDED = {"users", "social_actors", "social_statuses", "social_follows", "social_recipients"}


@pytest.fixture(scope="module")
def panamia(prepare: Prepare) -> Prepared:
    prepared = prepare("panamia")
    migrations.upgrade("panamia", prepared.owner_url, report=lambda _: None)
    with connections.connect(DatabaseURL.parse(prepared.owner_url)) as owner:
        for it in load.generated(MEMBERS):
            if it.model.__tablename__ in NEEDED:
                generated.write([owner], it)
    return prepared


@pytest.fixture
def session(panamia: Prepared) -> Iterator[Session]:
    with Session(engine.unpooled(DatabaseURL.parse(panamia.app_url))) as opened:
        yield opened
        opened.rollback()


def somebody(session: Session, number: int) -> SocialActor:
    """Member `number`, who follows some others from now on."""
    actor = session.get_one(SocialActor, load._id("social_actors", number))
    chosen = random.Random(number).sample(range(MEMBERS), FOLLOWS)  # noqa: S311
    session.add_all(
        SocialFollow(
            id=seeded_id("timeline", str(number), str(other)),
            actor_id=actor.id,
            target_actor_id=load._id("social_actors", other),
            status="accepted" if other % 3 else "pending",
        )
        for other in chosen
        if other not in {number, number + 1}
    )
    session.flush()
    return actor


def defined(session: Session, actor: SocialActor) -> list[str]:
    followed = exists().where(
        SocialFollow.actor_id == actor.id,
        SocialFollow.target_actor_id == SocialStatus.actor_id,
        SocialFollow.status == "accepted",
    )
    addressed = exists().where(SocialRecipient.status_id == SocialStatus.id, SocialRecipient.actor_id == actor.id)
    mine = SocialStatus.actor_id == actor.id
    seen = select(SocialStatus.id).where(mine | addressed | (followed & (SocialStatus.visibility != "direct")))
    return list(session.scalars(seen.order_by(SocialStatus.created_at.desc(), SocialStatus.id.desc())))


@pytest.mark.parametrize("number", [7, 10, 1_500])
@pytest.mark.parametrize("size", [1, 4, 1_000])
def test_its_pages_are_what_one_sees_newest_first(session: Session, number: int, size: int) -> None:
    actor = somebody(session, number)
    found: list[str] = []
    page = timeline(session, actor, size=size)
    while page:
        found += [it.id for it in page]
        page = timeline(session, actor, after=Position.of(page[-1]), size=size)

    assert found == defined(session, actor)
    assert len(found) > FOLLOWS // 2


def test_it_reads_no_table_whole(session: Session) -> None:
    statements: list[tuple[str, Any]] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
    actor = somebody(session, 7)
    timeline(session, actor)
    statement, values = statements[-1]

    plan = session.connection().exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()

    assert "Seq Scan" not in json.dumps(plan)
    assert session.scalar(text("SELECT count(*) FROM social_statuses")) == MEMBERS
