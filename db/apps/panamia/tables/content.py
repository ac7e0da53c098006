"""Profiles and content: what members show of themselves, and what they write."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.apps.panamia.tables.auth import User
from db.apps.panamia.tables.base import Base, Json, Keyed, documents, goes_with, json, one_of, outlives
from db.model import required

ARTICLE_STATUSES = ("draft", "pending_review", "revision_needed", "published", "removed")
ANNOUNCEMENT_CHANNELS = ("site", "email", "social")


class Profile(Keyed, Base):
    """A member's page in the directory, at most one a member."""

    __tablename__ = "profiles"
    __table_args__ = (
        *documents(
            "socials",
            "hours",
            "categories",
            "locations",
            "images",
            "mentoring",
            "verification",
            "roles",
            "descriptions",
        ),
        # `categories @> '["food"]'`; path_ops is half the size and knows containment, which is all we ask
        Index(None, "categories", postgresql_using="gin", postgresql_ops={"categories": "jsonb_path_ops"}),
        Index(None, "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
        UniqueConstraint("user_id"),
        Index(None, "created_at", "id"),
    )

    user_id: Mapped[str] = goes_with(User.id)
    slug: Mapped[str] = required(unique=True)
    name: Mapped[str]
    email: Mapped[str | None] = mapped_column()
    phone_number: Mapped[str | None] = mapped_column()
    pronouns: Mapped[str | None] = mapped_column()
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    socials: Mapped[Json] = json("{}")
    hours: Mapped[Json] = json("{}")
    categories: Mapped[Json] = json("[]")
    locations: Mapped[Json] = json("[]")
    images: Mapped[Json] = json("{}")
    mentoring: Mapped[Json] = json("{}")
    verification: Mapped[Json] = json("{}")
    roles: Mapped[Json] = json("[]")
    descriptions: Mapped[Json] = json("{}")

    user: Mapped[User] = relationship()


class Article(Keyed, Base):
    """An article; it stays when its author leaves. A published one has its date."""

    __tablename__ = "articles"
    __table_args__ = (
        one_of("status", ARTICLE_STATUSES),
        CheckConstraint("status <> 'published' OR published_at IS NOT NULL", name="published_at"),
        *documents("co_authors", "reviewed_by"),
        Index("ix_articles_published", "published_at", "id", postgresql_where=text("status = 'published'")),
        Index(None, "author_id", "created_at", "id"),
    )

    author_id: Mapped[str | None] = outlives(User.id, index=False)
    slug: Mapped[str] = required(unique=True)
    title: Mapped[str]
    content: Mapped[str]
    excerpt: Mapped[str | None] = mapped_column()
    cover_image: Mapped[str | None] = mapped_column()
    status: Mapped[str] = mapped_column(server_default=text("'draft'"))
    co_authors: Mapped[Json] = json("[]")
    reviewed_by: Mapped[Json] = json("[]")
    published_at: Mapped[datetime | None] = mapped_column()

    author: Mapped[User | None] = relationship()


class ArticleAnnouncement(Keyed, Base):
    """That an article was made known, once a channel."""

    __tablename__ = "article_announcements"
    __table_args__ = (one_of("channel", ANNOUNCEMENT_CHANNELS), UniqueConstraint("article_id", "channel"))

    article_id: Mapped[str] = goes_with(Article.id)
    channel: Mapped[str]
    announced_by: Mapped[str | None] = outlives(User.id)
    message: Mapped[str | None] = mapped_column()
    announced_at: Mapped[datetime | None] = mapped_column()

    article: Mapped[Article] = relationship()
