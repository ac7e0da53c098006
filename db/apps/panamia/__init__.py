"""Pana MIA: members, their profiles and articles, a social network, mentoring (its database design document)."""

SHARED = {
    "users": ("id", "name", "email", "image", "screenname"),
    "sessions": ("session_token", "user_id", "expires"),
}
"""What the apps that live in this database (see db.apps) may read, by table and column, and point foreign keys at."""
