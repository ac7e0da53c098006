"""Social: a fediverse of actors, here and elsewhere, and what they post (ActivityPub's nouns)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.apps.panamia.tables.auth import User
from db.apps.panamia.tables.base import Base, Json, Keyed, documents, goes_with, json, lower, one_of, outlives
from db.apps.panamia.tables.content import Article
from db.model import required

VISIBILITIES = ("public", "unlisted", "followers", "direct")
FOLLOW_STATUSES = ("pending", "accepted", "rejected")
TAG_KINDS = ("hashtag", "mention")
RECIPIENT_KINDS = ("to", "cc")


class SocialActor(Keyed, Base):
    """Somebody who posts: a member of ours, or an actor of another server (without user)."""

    __tablename__ = "social_actors"
    __table_args__ = (
        UniqueConstraint("user_id"),
        Index("uq_social_actors_handle", lower("username"), lower("domain"), unique=True),
    )

    user_id: Mapped[str | None] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    username: Mapped[str]
    domain: Mapped[str]
    uri: Mapped[str] = required(unique=True)
    inbox_url: Mapped[str]
    outbox_url: Mapped[str | None] = mapped_column()
    shared_inbox_url: Mapped[str | None] = mapped_column()
    display_name: Mapped[str | None] = mapped_column()
    summary: Mapped[str | None] = mapped_column()
    icon_url: Mapped[str | None] = mapped_column()
    public_key: Mapped[str | None] = mapped_column()

    user: Mapped[User | None] = relationship()


class SocialStatus(Keyed, Base):
    """A post. An answer stays when what it answers goes."""

    __tablename__ = "social_statuses"
    __table_args__ = (
        one_of("visibility", VISIBILITIES),
        *documents("recipient_to", "recipient_cc"),
        Index(None, "actor_id", "created_at", "id"),
        Index("ix_social_statuses_public", "created_at", "id", postgresql_where=text("visibility = 'public'")),
    )

    actor_id: Mapped[str] = goes_with(SocialActor.id)
    uri: Mapped[str] = required(unique=True)
    content: Mapped[str]
    content_warning: Mapped[str | None] = mapped_column()
    visibility: Mapped[str] = mapped_column(server_default=text("'public'"))
    in_reply_to_id: Mapped[str | None] = mapped_column(
        ForeignKey("panamia.social_statuses.id", ondelete="SET NULL"), index=True
    )
    article_id: Mapped[str | None] = outlives(Article.id)
    recipient_to: Mapped[Json] = json("[]")
    recipient_cc: Mapped[Json] = json("[]")
    published_at: Mapped[datetime | None] = mapped_column()

    actor: Mapped[SocialActor] = relationship()


class SocialFollow(Keyed, Base):
    """One actor's wish to see another's posts, and the other's answer."""

    __tablename__ = "social_follows"
    __table_args__ = (
        one_of("status", FOLLOW_STATUSES),
        CheckConstraint("actor_id <> target_actor_id", name="not_oneself"),
        UniqueConstraint("actor_id", "target_actor_id"),
        Index(None, "target_actor_id", "status"),
    )

    actor_id: Mapped[str] = goes_with(SocialActor.id)
    target_actor_id: Mapped[str] = goes_with(SocialActor.id)
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))


class SocialLike(Keyed, Base):
    """An actor's liking of a post, once."""

    __tablename__ = "social_likes"
    __table_args__ = (UniqueConstraint("status_id", "actor_id"),)

    status_id: Mapped[str] = goes_with(SocialStatus.id)
    actor_id: Mapped[str] = goes_with(SocialActor.id, index=True)


class SocialAttachment(Keyed, Base):
    """A picture or file of a post, in the post's order."""

    __tablename__ = "social_attachments"
    __table_args__ = (
        CheckConstraint("position >= 0", name="position"),
        CheckConstraint("width > 0 AND height > 0", name="size"),
        UniqueConstraint("status_id", "position"),
    )

    status_id: Mapped[str] = goes_with(SocialStatus.id)
    position: Mapped[int] = mapped_column(server_default=text("0"))
    url: Mapped[str]
    media_type: Mapped[str]
    description: Mapped[str | None] = mapped_column()
    width: Mapped[int | None] = mapped_column()
    height: Mapped[int | None] = mapped_column()


class SocialTag(Keyed, Base):
    """A hashtag of a post, or an actor that it mentions."""

    __tablename__ = "social_tags"
    __table_args__ = (
        one_of("kind", TAG_KINDS),
        UniqueConstraint("status_id", "kind", "name"),
        Index("ix_social_tags_hashtag", lower("name"), "created_at", "id", postgresql_where=text("kind = 'hashtag'")),
    )

    status_id: Mapped[str] = goes_with(SocialStatus.id)
    kind: Mapped[str]
    name: Mapped[str]
    href: Mapped[str | None] = mapped_column()
    actor_id: Mapped[str | None] = outlives(SocialActor.id)


class SocialRecipient(Keyed, Base):
    """An actor to whom a post is addressed: what that actor's inbox is read from."""

    __tablename__ = "social_recipients"
    __table_args__ = (
        one_of("kind", RECIPIENT_KINDS),
        UniqueConstraint("status_id", "actor_id"),
        Index(None, "actor_id", "created_at", "id"),
    )

    status_id: Mapped[str] = goes_with(SocialStatus.id)
    actor_id: Mapped[str] = goes_with(SocialActor.id)
    kind: Mapped[str] = mapped_column(server_default=text("'to'"))
