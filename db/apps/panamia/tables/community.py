"""Mentoring and engagement: what members do with each other."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.apps.panamia.tables.auth import User
from db.apps.panamia.tables.base import Base, Json, Keyed, documents, goes_with, json, lower, one_of, outlives
from db.apps.panamia.tables.content import Article, Profile

SESSION_STATUSES = ("pending", "scheduled", "in_progress", "completed", "cancelled", "declined")
FORM_TYPES = ("art", "apparel", "food", "goods", "org", "services")
FORM_STATUSES = ("new", "reviewed", "archived")
NOTIFICATION_TYPES = ("follow", "like", "mention", "reply", "article", "mentoring", "message", "system")
INTERACTION_KINDS = ("view", "save", "share", "contact", "like")


class MentorSession(Keyed, Base):
    """A meeting of a mentor and a mentee. A mentor cannot promise one hour twice."""

    __tablename__ = "mentor_sessions"
    __table_args__ = (
        one_of("status", SESSION_STATUSES),
        CheckConstraint("mentor_id <> mentee_id", name="not_oneself"),
        CheckConstraint("duration_minutes BETWEEN 5 AND 480", name="duration_minutes"),
        Index(
            "uq_mentor_sessions_hour",
            "mentor_id",
            "scheduled_at",
            unique=True,
            postgresql_where=text("status IN ('scheduled', 'in_progress')"),
        ),
        Index(None, "mentor_id", "created_at", "id"),
        Index(None, "mentee_id", "created_at", "id"),
    )

    mentor_id: Mapped[str] = goes_with(User.id)
    mentee_id: Mapped[str] = goes_with(User.id)
    topic: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))
    scheduled_at: Mapped[datetime]
    duration_minutes: Mapped[int] = mapped_column(server_default=text("60"))
    meeting_url: Mapped[str | None] = mapped_column()
    notes: Mapped[str | None] = mapped_column()


class IntakeForm(Keyed, Base):
    """A filled-in form of somebody who wants to join; `form_data` is as the form asked."""

    __tablename__ = "intake_forms"
    __table_args__ = (
        one_of("form_type", FORM_TYPES),
        one_of("status", FORM_STATUSES),
        *documents("form_data"),
        Index(None, "status", "created_at", "id"),
    )

    user_id: Mapped[str | None] = outlives(User.id)
    form_type: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'new'"))
    form_data: Mapped[Json] = json("{}")


class Notification(Keyed, Base):
    """What a member should know; unread until `read_at`."""

    __tablename__ = "notifications"
    __table_args__ = (
        one_of("type", NOTIFICATION_TYPES),
        Index(None, "user_id", "created_at", "id"),
        Index("ix_notifications_unread", "user_id", "created_at", "id", postgresql_where=text("read_at IS NULL")),
    )

    user_id: Mapped[str] = goes_with(User.id)
    actor_id: Mapped[str | None] = outlives(User.id)
    type: Mapped[str]
    message: Mapped[str]
    url: Mapped[str | None] = mapped_column()
    read_at: Mapped[datetime | None] = mapped_column()


class UserFollow(Keyed, Base):
    """That a member follows another, once."""

    __tablename__ = "user_follows"
    __table_args__ = (
        CheckConstraint("follower_id <> followed_id", name="not_oneself"),
        UniqueConstraint("follower_id", "followed_id"),
        Index(None, "followed_id", "created_at", "id"),
    )

    follower_id: Mapped[str] = goes_with(User.id)
    followed_id: Mapped[str] = goes_with(User.id)


class UserList(Keyed, Base):
    """A member's list of members; its name differs from the owner's others by more than case."""

    __tablename__ = "user_lists"
    __table_args__ = (Index("uq_user_lists_name", "user_id", lower("name"), unique=True),)

    user_id: Mapped[str] = goes_with(User.id)
    name: Mapped[str]
    description: Mapped[str | None] = mapped_column()
    is_public: Mapped[bool] = mapped_column(server_default=text("false"))


class UserListMember(Keyed, Base):
    """A member on a list, once."""

    __tablename__ = "user_list_members"
    __table_args__ = (UniqueConstraint("list_id", "user_id"),)

    list_id: Mapped[str] = goes_with(UserList.id)
    user_id: Mapped[str] = goes_with(User.id, index=True)


class Interaction(Keyed, Base):
    """What a member (or a guest) did with a profile or an article: with exactly one of them."""

    __tablename__ = "interactions"
    __table_args__ = (
        one_of("kind", INTERACTION_KINDS),
        CheckConstraint("num_nonnulls(profile_id, article_id) = 1", name="target"),
        Index(None, "user_id", "created_at", "id"),
        Index(None, "profile_id", "kind"),
        Index(None, "article_id", "kind"),
    )

    user_id: Mapped[str | None] = outlives(User.id, index=False)
    kind: Mapped[str]
    profile_id: Mapped[str | None] = mapped_column(ForeignKey(Profile.id, ondelete="CASCADE"))
    article_id: Mapped[str | None] = mapped_column(ForeignKey(Article.id, ondelete="CASCADE"))


class ScreennameHistory(Keyed, Base):
    """A screen name that a member had, so that old links still find the member."""

    __tablename__ = "screenname_history"
    __table_args__ = (
        Index("ix_screenname_history_screenname", lower("screenname"), "created_at", "id"),
        Index(None, "user_id", "created_at", "id"),
    )

    user_id: Mapped[str] = goes_with(User.id)
    screenname: Mapped[str]
