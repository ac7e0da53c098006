"""Rows to measure with: 100,000 members, and as much of what each has, writes, likes and is told; a tenth of the rest.

Row n of a table is member n's; whom member n follows, likes or mentors is some numbers further. A row depends on n and
the number of members alone, its ids too, so that a second run finds every row there.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from db.apps.panamia import models
from db.apps.panamia.tables.base import Base
from db.apps.panamia.tables.community import FORM_TYPES, INTERACTION_KINDS, NOTIFICATION_TYPES
from db.apps.panamia.tables.social import VISIBILITIES
from db.ids import seeded_id
from db.seeds.generated import Generated

MEMBERS = 100_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)
_SITE = "https://load.example"
_EVERYBODY = "https://www.w3.org/ns/activitystreams#Public"
_CATEGORIES = ("food", "art", "apparel", "goods", "services", "org")
_WORDS = ("miami", "bread", "ceramics", "music", "garden", "market", "mango")
_Row = Callable[[int, int], dict[str, Any]]  # of the number and how many members there are


@lru_cache(maxsize=300_000)  # other rows ask for a member's, an actor's and a post's id
def _id(table: str, number: int) -> str:
    return seeded_id("panamia", "load", table, str(number))


def _at(number: int) -> datetime:
    return BEGAN + timedelta(seconds=20 * number)


def _ends(number: int) -> datetime:
    return FAR if number % 10 else BEGAN  # every tenth has expired


def _email(number: int) -> str:
    return f"member{number}@load.example"


def _status(n: int, members: int) -> dict[str, Any]:  # noqa: ARG001  # as _Row has it
    public = n % 10 != 0
    return {
        "actor_id": _id("social_actors", n),
        "uri": f"{_SITE}/s/{n}",
        "content": f"News {n} of #{_WORDS[n % 7]}",
        "visibility": "public" if public else VISIBILITIES[1 + n // 10 % 3],
        "in_reply_to_id": _id("social_statuses", n - 1) if n % 5 == 1 else None,
        "recipient_to": [_EVERYBODY] if public else [],
        "published_at": _at(n),
    }


def _interaction(n: int, members: int) -> dict[str, Any]:
    target = {"profile_id": None, "article_id": _id("articles", n)}
    if n % 2:
        target = {"profile_id": _id("profiles", (n + 1) % members), "article_id": None}
    return {"user_id": _id("users", n), "kind": INTERACTION_KINDS[n % len(INTERACTION_KINDS)], **target}


def _profile(n: int, members: int) -> dict[str, Any]:  # noqa: ARG001  # as _Row has it
    return {
        "user_id": _id("users", n),
        "slug": f"member-{n}",
        "name": f"{_WORDS[n % 7].title()} of member {n}",
        "is_active": n % 25 != 0,
        "socials": {"website": f"https://member{n}.load.example"},
        "hours": {"monday": [["09:00", "17:00"]]},
        "categories": sorted({_CATEGORIES[n % 6], _CATEGORIES[n % 5]}),
        "locations": [{"city": "Miami", "state": "FL", "country": "US"}],
        "mentoring": {"enabled": n % 4 == 0},
        "descriptions": {"details": f"What member {n} makes."},
    }


GROWING: dict[type[Base], _Row] = {
    models.User: lambda n, _: {
        "name": f"Member {n}",
        "email": _email(n),
        "email_verified": _at(n) if n % 5 else None,
        "screenname": f"member{n}",
    },
    models.Account: lambda n, _: {
        "user_id": _id("users", n),
        "type": "oidc",
        "provider": "google",
        "provider_account_id": f"load-{n}",
    },
    models.Session: lambda n, _: {
        "session_token": _id("tokens", n),
        "user_id": _id("users", n),
        "expires": _ends(n),
    },
    models.Profile: _profile,
    models.Article: lambda n, _: {
        "author_id": _id("users", n),
        "slug": f"article-{n}",
        "title": f"On {_WORDS[n % 7]}, part {n}",
        "content": f"What member {n} has to say about {_WORDS[n % 7]}.",
        "status": "published" if n % 4 else "draft",
        "published_at": _at(n) if n % 4 else None,
    },
    models.SocialActor: lambda n, _: {
        "user_id": _id("users", n),
        "username": f"member{n}",
        "domain": "load.example",
        "uri": f"{_SITE}/u/{n}",
        "inbox_url": f"{_SITE}/u/{n}/inbox",
    },
    models.SocialStatus: _status,
    models.SocialFollow: lambda n, members: {
        "actor_id": _id("social_actors", n),
        "target_actor_id": _id("social_actors", (n + 1) % members),
        "status": "accepted" if n % 8 else "pending",
    },
    models.SocialLike: lambda n, members: {
        "status_id": _id("social_statuses", n),
        "actor_id": _id("social_actors", (n + 3) % members),
    },
    models.SocialTag: lambda n, _: {
        "status_id": _id("social_statuses", n),
        "kind": "hashtag",
        "name": _WORDS[n % 7],
    },
    models.SocialRecipient: lambda n, members: {
        "status_id": _id("social_statuses", n),
        "actor_id": _id("social_actors", (n + 2) % members),
        "kind": "cc",
    },
    models.Notification: lambda n, members: {
        "user_id": _id("users", n),
        "actor_id": _id("users", (n + 3) % members),
        "type": NOTIFICATION_TYPES[n % len(NOTIFICATION_TYPES)],
        "message": f"Something new for member {n}",
        "read_at": _at(n) if n % 3 else None,
    },
    models.UserFollow: lambda n, members: {
        "follower_id": _id("users", n),
        "followed_id": _id("users", (n + 1) % members),
    },
    models.Interaction: _interaction,
}
"""What there is of every member, parents first."""

RARE: dict[type[Base], _Row] = {
    models.VerificationToken: lambda n, _: {"identifier": _email(n), "token": _id("tokens", n), "expires": _ends(n)},
    models.ArticleAnnouncement: lambda n, _: {
        "article_id": _id("articles", n),
        "channel": "site",
        "announced_by": _id("users", n),
        "announced_at": _at(n),
    },
    models.SocialAttachment: lambda n, _: {
        "status_id": _id("social_statuses", n),
        "url": f"{_SITE}/media/{n}.webp",
        "media_type": "image/webp",
        "width": 1200,
        "height": 800,
    },
    models.MentorSession: lambda n, members: {
        "mentor_id": _id("users", n),
        "mentee_id": _id("users", (n + 5) % members),
        "topic": _WORDS[n % 7],
        "status": "scheduled" if n % 2 else "completed",
        "scheduled_at": _at(n),
    },
    models.IntakeForm: lambda n, _: {
        "user_id": _id("users", n),
        "form_type": FORM_TYPES[n % len(FORM_TYPES)],
        "form_data": {"about": f"Answer {n}"},
    },
    models.UserList: lambda n, _: {"user_id": _id("users", n), "name": "Favourites", "is_public": n % 3 == 0},
    models.UserListMember: lambda n, members: {
        "list_id": _id("user_lists", n),
        "user_id": _id("users", (n + 1) % members),
    },
    models.ScreennameHistory: lambda n, _: {"user_id": _id("users", n), "screenname": f"once{n}"},
    models.ContactSubmission: lambda n, _: {"name": f"Guest {n}", "email": _email(n), "message": f"Note {n}"},
    models.NewsletterSignup: lambda n, _: {"email": _email(n), "confirmed_at": _at(n) if n % 2 else None},
    models.BrevoContact: lambda n, _: {
        "user_id": _id("users", n),
        "email": _email(n),
        "brevo_id": 1_000_000 + n,  # beyond the demo's
        "last_synced_at": _at(n),
    },
    models.EmailMigration: lambda n, _: {
        "user_id": _id("users", n),
        "old_email": _email(n),
        "new_email": f"new-{_email(n)}",
        "token_hash": _id("email hashes", n),
        "expires_at": _ends(n),
    },
    models.OAuthVerification: lambda n, _: {
        "user_id": _id("users", n),
        "email": _email(n),
        "provider": "github",
        "provider_account_id": f"load-{n}",
        "token_hash": _id("provider hashes", n),
        "expires_at": _ends(n),
    },
}
"""What there is of every tenth."""


def generated(members: int = MEMBERS) -> tuple[Generated, ...]:
    """The set with `members` members, 10 or more."""
    counts = ((members, GROWING), (members // 10, RARE))
    return tuple(
        Generated(model, count, partial(_complete, model, row, members))
        for count, of in counts
        for model, row in of.items()
    )


def _complete(model: type[Base], row: _Row, members: int, number: int) -> dict[str, Any]:
    """The row with what all have: a key, unless Auth.js has another one, and its instants."""
    key = {"id": _id(model.__tablename__, number)} if "id" in model.__mapper__.columns else {}
    return {**key, **row(number, members), "created_at": _at(number), "updated_at": _at(number)}


GENERATED = generated()
