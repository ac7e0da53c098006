"""Three members and one row or more of every table: who follows, writes, mentors, likes and signs up."""

from datetime import UTC, datetime

from db.apps.panamia import models
from db.ids import seeded_id


def _id(*parts: str) -> str:
    return seeded_id("panamia", "demo", *parts)


ANA, BEA, CARO = (_id("users", name) for name in ("ana", "bea", "caro"))
MEMBERS = {ANA: "Ana", BEA: "Bea", CARO: "Caro"}
JANUARY = datetime(2026, 1, 15, 12, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)
ARTICLE, DRAFT = _id("articles", "mangos"), _id("articles", "draft")
POST, ANSWER = _id("social_statuses", "post"), _id("social_statuses", "answer")
LIST = _id("user_lists", "bakers")


def _actor(user: str) -> str:
    return _id("social_actors", user)


ROWS = (
    *(
        models.User(
            id=user,
            name=name,
            email=f"{name.lower()}@example.com",
            email_verified=JANUARY,
            image=None,
            screenname=name.lower(),
        )
        for user, name in MEMBERS.items()
    ),
    models.Account(
        user_id=ANA,
        type="oidc",
        provider="google",
        provider_account_id="demo-ana",
        scope="email",
    ),
    models.Session(session_token=_id("sessions", "ana"), user_id=ANA, expires=FAR),
    models.VerificationToken(identifier="bea@example.com", token=_id("verification_tokens", "bea"), expires=FAR),
    *(
        models.Profile(
            id=_id("profiles", user),
            user_id=user,
            slug=name.lower(),
            name=f"{name}'s kitchen",
            email=f"{name.lower()}@example.com",
            socials={"website": f"https://{name.lower()}.example.com"},
            hours={"monday": [["09:00", "17:00"]]},
            categories=["food"] if user != CARO else ["art", "services"],
            locations=[{"city": "Miami", "state": "FL", "country": "US"}],
            images={"primary": f"profiles/{name.lower()}.webp"},
            mentoring={"enabled": user == ANA, "expertise": ["baking"]},
            verification={"badges": []},
            roles=[],
            descriptions={"details": "Baked this morning."},
        )
        for user, name in MEMBERS.items()
    ),
    models.Article(
        id=ARTICLE,
        author_id=ANA,
        slug="what-to-do-with-mangos",
        title="What to do with mangos",
        content="Eat the first five at the sink.",
        status="published",
        co_authors=[{"user_id": BEA, "accepted": True}],
        reviewed_by=[{"user_id": CARO, "approved": True}],
        published_at=JANUARY,
    ),
    models.Article(
        id=DRAFT,
        author_id=BEA,
        slug="on-bread",
        title="On bread",
        content="To be written.",
        status="draft",
        co_authors=[],
        reviewed_by=[],
        published_at=None,
    ),
    models.ArticleAnnouncement(
        id=_id("article_announcements", "mangos"),
        article_id=ARTICLE,
        channel="site",
        announced_by=ANA,
        message="New: mangos",
        announced_at=JANUARY,
    ),
    *(
        models.SocialActor(
            id=_actor(user),
            user_id=user,
            username=name.lower(),
            domain="panamia.example",
            uri=f"https://panamia.example/u/{name.lower()}",
            inbox_url=f"https://panamia.example/u/{name.lower()}/inbox",
        )
        for user, name in MEMBERS.items()
    ),
    models.SocialStatus(
        id=POST,
        actor_id=_actor(ANA),
        uri="https://panamia.example/s/1",
        content="Mangos! #miami",
        visibility="public",
        in_reply_to_id=None,
        article_id=ARTICLE,
        recipient_to=["https://www.w3.org/ns/activitystreams#Public"],
        recipient_cc=[],
        published_at=JANUARY,
    ),
    models.SocialStatus(
        id=ANSWER,
        actor_id=_actor(BEA),
        uri="https://panamia.example/s/2",
        content="Save me one, @ana",
        visibility="direct",
        in_reply_to_id=POST,
        article_id=None,
        recipient_to=["https://panamia.example/u/ana"],
        recipient_cc=[],
        published_at=JANUARY,
    ),
    models.SocialFollow(
        id=_id("social_follows", "bea"),
        actor_id=_actor(BEA),
        target_actor_id=_actor(ANA),
        status="accepted",
    ),
    models.SocialLike(id=_id("social_likes", "bea"), status_id=POST, actor_id=_actor(BEA)),
    models.SocialAttachment(
        id=_id("social_attachments", "mango"),
        status_id=POST,
        url="https://panamia.example/media/mango.webp",
        media_type="image/webp",
        description="A mango on a counter",
        width=1200,
        height=800,
    ),
    models.SocialTag(
        id=_id("social_tags", "miami"),
        status_id=POST,
        kind="hashtag",
        name="miami",
        actor_id=None,
    ),
    models.SocialTag(
        id=_id("social_tags", "ana"),
        status_id=ANSWER,
        kind="mention",
        name="ana",
        actor_id=_actor(ANA),
    ),
    models.SocialRecipient(
        id=_id("social_recipients", "ana"),
        status_id=ANSWER,
        actor_id=_actor(ANA),
        kind="to",
    ),
    models.MentorSession(
        id=_id("mentor_sessions", "bread"),
        mentor_id=ANA,
        mentee_id=BEA,
        topic="Bread that rises",
        status="scheduled",
        scheduled_at=FAR,
    ),
    models.IntakeForm(
        id=_id("intake_forms", "caro"),
        user_id=CARO,
        form_type="art",
        form_data={"medium": "ceramics"},
    ),
    models.Notification(
        id=_id("notifications", "like"),
        user_id=ANA,
        actor_id=BEA,
        type="like",
        message="Bea likes your post",
        url="/s/1",
    ),
    models.UserFollow(id=_id("user_follows", "caro"), follower_id=CARO, followed_id=ANA),
    models.UserList(
        id=LIST,
        user_id=CARO,
        name="Bakers",
        is_public=True,
    ),
    models.UserListMember(id=_id("user_list_members", "ana"), list_id=LIST, user_id=ANA),
    models.Interaction(
        id=_id("interactions", "view"),
        user_id=CARO,
        kind="view",
        profile_id=_id("profiles", ANA),
        article_id=None,
    ),
    models.Interaction(
        id=_id("interactions", "save"),
        user_id=CARO,
        kind="save",
        profile_id=None,
        article_id=ARTICLE,
    ),
    models.ScreennameHistory(id=_id("screenname_history", "ana"), user_id=ANA, screenname="ana_bakes"),
    models.ContactSubmission(
        id=_id("contact_submissions", "dora"),
        name="Dora",
        email="dora@example.com",
        topic="membership",
        message="How do I join?",
    ),
    models.NewsletterSignup(id=_id("newsletter_signups", "dora"), email="dora@example.com", name="Dora"),
    models.BrevoContact(
        id=_id("brevo_contacts", "ana"),
        user_id=ANA,
        email="ana@example.com",
        brevo_id=1,
    ),
    models.EmailMigration(
        id=_id("email_migrations", "bea"),
        user_id=BEA,
        old_email="bea@example.com",
        new_email="beatriz@example.com",
        token_hash=_id("email_migrations", "bea", "token"),
        expires_at=FAR,
    ),
    models.OAuthVerification(
        id=_id("o_auth_verifications", "caro"),
        user_id=CARO,
        email="caro@example.com",
        provider="github",
        provider_account_id="demo-caro",
        token_hash=_id("o_auth_verifications", "caro", "token"),
        expires_at=FAR,
    ),
)
