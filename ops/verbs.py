"""All verbs of `pgstack`, gathered; each is one file."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.backup import backup
from ops.bare import bare
from ops.drill import drill
from ops.env import env
from ops.keys import keys
from ops.lint import lint, write_sums
from ops.logs import logs
from ops.migrate import migrate
from ops.plan import plan
from ops.power import start, stop
from ops.psql import psql
from ops.recover import recover
from ops.rehearse import rehearse
from ops.repair import repair
from ops.reserve import reserve
from ops.reset import reset
from ops.restore import restore
from ops.rotation import retire, rotate
from ops.seed import seed
from ops.status import status
from ops.verify import verify

_EPILOG = """\
Exit codes: 0 done, and the stack is well; 1 it failed, or something is wrong; 2 can't tell (no tools, no such stack,
no engine) or wrong usage; 130 interrupted.
"""

app = typer.Typer(
    name="pgstack",
    help="Work with a deployed stack: look at it, connect to it, migrate it, back it up.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with local variables would show passwords
    rich_markup_mode=None,
)


@app.callback()
def _every_verb(
    stack: Annotated[  # the verbs' own option reads it (ops.stack)
        str | None, typer.Option("--stack", "-s", metavar="NAME", help="Which stack; each single verb takes it too.")
    ] = None,
) -> None:
    pass


for verb in (status, env, logs, start, stop, reset, seed, recover):
    app.command()(verb)
app.command(context_settings={"ignore_unknown_options": True})(psql)  # they are psql's own
migrate.command()(plan)
migrate.command()(lint)
migrate.command()(rehearse)
migrate.command()(repair)
migrate.command("sum")(write_sums)
app.add_typer(migrate)
backup.command()(verify)
app.add_typer(backup)
restore.command()(bare)
app.add_typer(restore)
app.add_typer(drill)
app.add_typer(reserve)
keys.command()(rotate)
keys.command()(retire)
app.add_typer(keys)
