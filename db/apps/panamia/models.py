"""Tables of panamia: 27, group by group as its document lists them (db.apps.panamia.tables has one file a group).

Keys are CUID2 (db.ids) except where Auth.js decides: accounts, sessions and verification tokens have natural keys. What
the document does not call nullable is NOT NULL; all instants are `timestamptz`.
"""

from db.apps.panamia.tables.auth import Account, Session, User, VerificationToken
from db.apps.panamia.tables.base import Base
from db.apps.panamia.tables.community import (
    IntakeForm,
    Interaction,
    MentorSession,
    Notification,
    ScreennameHistory,
    UserFollow,
    UserList,
    UserListMember,
)
from db.apps.panamia.tables.content import Article, ArticleAnnouncement, Profile
from db.apps.panamia.tables.ops import (
    BrevoContact,
    ContactSubmission,
    EmailMigration,
    NewsletterSignup,
    OAuthVerification,
)
from db.apps.panamia.tables.social import (
    SocialActor,
    SocialAttachment,
    SocialFollow,
    SocialLike,
    SocialRecipient,
    SocialStatus,
    SocialTag,
)

__all__ = [
    "GROUPS",
    "Account",
    "Article",
    "ArticleAnnouncement",
    "Base",
    "BrevoContact",
    "ContactSubmission",
    "EmailMigration",
    "IntakeForm",
    "Interaction",
    "MentorSession",
    "NewsletterSignup",
    "Notification",
    "OAuthVerification",
    "Profile",
    "ScreennameHistory",
    "Session",
    "SocialActor",
    "SocialAttachment",
    "SocialFollow",
    "SocialLike",
    "SocialRecipient",
    "SocialStatus",
    "SocialTag",
    "User",
    "UserFollow",
    "UserList",
    "UserListMember",
    "VerificationToken",
]

GROUPS: dict[str, tuple[type[Base], ...]] = {
    "Auth": (User, Account, Session, VerificationToken),
    "Profiles": (Profile,),
    "Content": (Article, ArticleAnnouncement),
    "Social": (
        SocialActor,
        SocialStatus,
        SocialFollow,
        SocialLike,
        SocialAttachment,
        SocialTag,
        SocialRecipient,
    ),
    "Mentoring": (MentorSession, IntakeForm),
    "Engagement": (Notification, UserFollow, UserList, UserListMember, Interaction, ScreennameHistory),
    "Ops": (ContactSubmission, NewsletterSignup, BrevoContact, EmailMigration, OAuthVerification),
}
"""The document's table of groups ("Schema Overview"; it says 24 models and lists these 27)."""
