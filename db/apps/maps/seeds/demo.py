"""An example user without a way to sign in: Better Auth makes the account when a password is set."""

from db.apps.maps.models import User
from db.seeds.rows import key

ROWS = (
    User(
        id=str(key("maps", "users", "demo")),
        email="demo@example.com",
        email_verified=True,
        name="Demo User",
    ),
)
