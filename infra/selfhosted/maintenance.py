"""What applications want done once a day in their databases: by whom, how the server lets it in, how it is run.

The backup container has psql, the server's socket and the scheduler. An application's statements run there by its
owner's own login, which the server knows by the user of the two containers: no password, and nothing that the owner
could not do anyway; a superuser who became the owner could be turned back by a function of the owner's.
"""

import shlex
from collections.abc import Sequence

from db import apps

_MAP = "maintenance"  # in pg_ident.conf


def maintained(names: Sequence[str]) -> list[str]:
    """Those of the applications that have something to be done."""
    return [app for app in names if apps.maintenance(app)]


def hba(names: Sequence[str]) -> str:
    """Lines of pg_hba.conf: the maintained applications' owners, each in its own database, by the socket."""
    return "".join(f"local   {apps.host(app)}  {_login(app)}  peer map={_MAP}\n" for app in maintained(names))


def ident(names: Sequence[str]) -> str:
    """pg_ident.conf: the containers' user, who is also the superuser there, may be these logins."""
    return "".join(f"{_MAP}  postgres  {_login(app)}\n" for app in maintained(names))


def crontab(schedule: str, names: Sequence[str]) -> str:
    """A line for each application; how its last run ended stands beside the socket, for `pgstack status`."""
    return "".join(f"{schedule} {_command(app)}\n" for app in maintained(names))


def _command(app: str) -> str:
    words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "/run/postgresql", "-U", _login(app), "-d", apps.host(app)]
    for statement in apps.maintenance(app):
        words += ["-c", " ".join(statement.split())]  # each a transaction; the first that fails is the last
    return f"{shlex.join(words)}; ended=$?; echo $ended $(date +%s) >/run/postgresql/{_MAP}-{app}; exit $ended"


def _login(app: str) -> str:
    return f"{app}_owner_1"
