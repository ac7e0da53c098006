"""Rows to measure with: 100,000 members, and as much of what each has, writes, likes and is told; a tenth of the rest.

Row n of a table is member n's; whom member n follows, likes or mentors is some numbers further. A row depends on n and
the number of members alone, its ids too, so that a second run finds every row there. A tenth is what a member does once
or never: forms and mail, lists, mentoring, a change of name or address.
"""

import hashlib

from db.apps.panamia import models
from db.apps.panamia.tables.base import Base
from db.apps.panamia.tables.community import FORM_TYPES, INTERACTION_KINDS, NOTIFICATION_TYPES
from db.apps.panamia.tables.social import VISIBILITIES
from db.seeds.generated import Generated, one_of

MEMBERS = 100_000
_SITE = "https://load.example"
_EVERYBODY = "https://www.w3.org/ns/activitystreams#Public"
_CATEGORIES = ("food", "art", "apparel", "goods", "services", "org")
_WORDS = ("miami", "bread", "ceramics", "music", "garden", "market", "mango")
_WORD = one_of(_WORDS)
_AT = "timestamptz '2026-01-01 00:00+00' + n * interval '20 seconds'"
_EMAIL = "'person' || n || '@load.example'"
_ENDS = "CASE WHEN n % 10 = 0 THEN timestamptz '2026-01-01 00:00+00' ELSE timestamptz '2100-01-01 00:00+00' END"
_NEXT, _SECOND, _THIRD, _FIFTH = (f"(n + {it}) % {{members}}" for it in (1, 2, 3, 5))


def _id(table: str, number: int) -> str:
    """Of CUID2's form; not db.ids.seeded_id, whose SHA-3 the server does not have."""
    return "l" + hashlib.md5(f"panamia/load/{table}/{number}".encode(), usedforsecurity=False).hexdigest()[:23]


def sql_id(table: str, number: str = "n") -> str:
    """SQL for `_id`."""
    return f"'l' || left(md5('panamia/load/{table}/' || {number}), 23)"


GROWING: dict[type[Base], dict[str, str]] = {
    models.User: {
        "name": "'Member ' || n",
        "email": _EMAIL,
        "email_verified": f"CASE WHEN n % 5 > 0 THEN {_AT} END",
        "screenname": "'person' || n",
    },
    models.Account: {
        "user_id": sql_id("users"),
        "type": "'oidc'",
        "provider": "'google'",
        "provider_account_id": "'load-person-' || n",
    },
    models.Session: {"session_token": sql_id("tokens"), "user_id": sql_id("users"), "expires": _ENDS},
    models.Profile: {
        "user_id": sql_id("users"),
        "slug": "'person-' || n",
        "name": f"initcap({_WORD}) || ' of member ' || n",
        "is_active": "n % 25 <> 0",
        "socials": "jsonb_build_object('website', 'https://person' || n || '.load.example')",
        "hours": '\'{"monday": [["09:00", "17:00"]]}\'',
        "categories": f"jsonb_build_array({one_of(_CATEGORIES)})",
        "locations": '\'[{"city": "Miami", "state": "FL", "country": "US"}]\'',
        "mentoring": "jsonb_build_object('enabled', n % 4 = 0)",
        "descriptions": "jsonb_build_object('details', 'What member ' || n || ' makes.')",
    },
    models.Article: {
        "author_id": sql_id("users"),
        "slug": "'paper-' || n",
        "title": f"'On ' || {_WORD} || ', part ' || n",
        "content": f"'What member ' || n || ' has to say about ' || {_WORD} || '.'",
        "status": "CASE WHEN n % 4 > 0 THEN 'published' ELSE 'draft' END",
        "published_at": f"CASE WHEN n % 4 > 0 THEN {_AT} END",
    },
    models.SocialActor: {
        "user_id": sql_id("users"),
        "username": "'person' || n",
        "domain": "'load.example'",
        "uri": f"'{_SITE}/people/' || n",
        "inbox_url": f"'{_SITE}/people/' || n || '/inbox'",
    },
    models.SocialStatus: {
        "actor_id": sql_id("social_actors"),
        "uri": f"'{_SITE}/news/' || n",
        "content": f"'News ' || n || ' of #' || {_WORD}",
        "visibility": f"CASE WHEN n % 10 > 0 THEN 'public' ELSE {one_of(VISIBILITIES[1:], 'n / 10')} END",
        # the one before is in the same batch, whose size five divides
        "in_reply_to_id": f"CASE WHEN n % 5 = 1 THEN {sql_id('social_statuses', '(n - 1)')} END",
        "recipient_to": f"CASE WHEN n % 10 > 0 THEN '[\"{_EVERYBODY}\"]' ELSE '[]' END",
        "published_at": _AT,
    },
    models.SocialFollow: {
        "actor_id": sql_id("social_actors"),
        "target_actor_id": sql_id("social_actors", _NEXT),
        "status": "CASE WHEN n % 8 > 0 THEN 'accepted' ELSE 'pending' END",
    },
    models.SocialLike: {"status_id": sql_id("social_statuses"), "actor_id": sql_id("social_actors", _THIRD)},
    models.SocialTag: {"status_id": sql_id("social_statuses"), "kind": "'hashtag'", "name": _WORD},
    models.SocialRecipient: {
        "status_id": sql_id("social_statuses"),
        "actor_id": sql_id("social_actors", _SECOND),
        "kind": "'cc'",
    },
    models.Notification: {
        "user_id": sql_id("users"),
        "actor_id": sql_id("users", _THIRD),
        "type": one_of(NOTIFICATION_TYPES),
        "message": "'Something new for member ' || n",
        "read_at": f"CASE WHEN n % 3 > 0 THEN {_AT} END",
    },
    models.UserFollow: {"follower_id": sql_id("users"), "followed_id": sql_id("users", _NEXT)},
    models.Interaction: {
        "user_id": sql_id("users"),
        "kind": one_of(INTERACTION_KINDS),
        "profile_id": f"CASE WHEN n % 2 = 1 THEN {sql_id('profiles', _NEXT)} END",
        "article_id": f"CASE WHEN n % 2 = 0 THEN {sql_id('articles')} END",
    },
}
"""What there is of every member, parents first."""

RARE: dict[type[Base], dict[str, str]] = {
    models.VerificationToken: {"identifier": _EMAIL, "token": sql_id("tokens"), "expires": _ENDS},
    models.ArticleAnnouncement: {
        "article_id": sql_id("articles"),
        "channel": "'site'",
        "announced_by": sql_id("users"),
        "announced_at": _AT,
    },
    models.SocialAttachment: {
        "status_id": sql_id("social_statuses"),
        "url": f"'{_SITE}/media/' || n || '.webp'",
        "media_type": "'image/webp'",
        "width": "1200",
        "height": "800",
    },
    models.MentorSession: {
        "mentor_id": sql_id("users"),
        "mentee_id": sql_id("users", _FIFTH),
        "topic": _WORD,
        "status": "CASE WHEN n % 2 = 1 THEN 'scheduled' ELSE 'completed' END",
        "scheduled_at": _AT,
    },
    models.IntakeForm: {
        "user_id": sql_id("users"),
        "form_type": one_of(FORM_TYPES),
        "form_data": "jsonb_build_object('about', 'Answer ' || n)",
    },
    models.UserList: {"user_id": sql_id("users"), "name": "'Favourites'", "is_public": "n % 3 = 0"},
    models.UserListMember: {"list_id": sql_id("user_lists"), "user_id": sql_id("users", _NEXT)},
    models.ScreennameHistory: {"user_id": sql_id("users"), "screenname": "'once' || n"},
    models.ContactSubmission: {"name": "'Guest ' || n", "email": _EMAIL, "message": "'Note ' || n"},
    models.NewsletterSignup: {"email": _EMAIL, "confirmed_at": f"CASE WHEN n % 2 = 1 THEN {_AT} END"},
    models.BrevoContact: {
        "user_id": sql_id("users"),
        "email": _EMAIL,
        "brevo_id": "2000000 + n",  # beyond the demo's
        "last_synced_at": _AT,
    },
    models.EmailMigration: {
        "user_id": sql_id("users"),
        "old_email": _EMAIL,
        "new_email": f"'new-' || {_EMAIL}",
        "token_hash": sql_id("email hashes"),
        "expires_at": _ENDS,
    },
    models.OAuthVerification: {
        "user_id": sql_id("users"),
        "email": _EMAIL,
        "provider": "'github'",
        "provider_account_id": "'load-person-' || n",
        "token_hash": sql_id("provider hashes"),
        "expires_at": _ENDS,
    },
}
"""What there is of every tenth."""


def generated(members: int = MEMBERS) -> tuple[Generated, ...]:
    """The set with `members` members, 10 or more."""
    counts = ((members, GROWING), (members // 10, RARE))
    return tuple(
        Generated(model, count, _complete(model, columns, members))
        for count, of in counts
        for model, columns in of.items()
    )


def _complete(model: type[Base], columns: dict[str, str], members: int) -> dict[str, str]:
    """The columns with what all have: a key, unless Auth.js has another one, and its instants."""
    key = {"id": sql_id(model.__tablename__)} if "id" in model.__mapper__.columns else {}
    counted = {name: sql.replace("{members}", str(members)) for name, sql in columns.items()}
    return {**key, **counted, "created_at": _AT, "updated_at": _AT}


GENERATED = generated()
