"""The entry point of `pgstack`: errors are one line, exit codes mean something, and no traceback is ever shown."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


def main() -> None:
    """Run the verb that the command line names."""
    try:
        _run()
    except KeyboardInterrupt:
        print("pgstack: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `pgstack logs | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _run() -> None:
    # loaded here, because Ctrl-C may come while they load
    from db.errors import DbError, UnknownAppError, UnreachableError  # noqa: PLC0415
    from ops.errors import FAILED, UNKNOWN, OpsError  # noqa: PLC0415
    from ops.verbs import app  # noqa: PLC0415

    try:
        app()
    except OpsError as error:
        print(f"pgstack: {error}", file=sys.stderr)
        sys.exit(error.code)
    except UnreachableError as error:
        print(f"pgstack: {error}; `pgstack status` says more, `pgstack start` starts a stopped stack", file=sys.stderr)
        sys.exit(FAILED)
    except DbError as error:
        print(f"pgstack: {error}", file=sys.stderr)
        sys.exit(UNKNOWN if isinstance(error, UnknownAppError) else FAILED)
    except Exception as error:
        said = _server_said(error)
        if said is None:
            raise
        print(f"pgstack: {said}", file=sys.stderr)
        sys.exit(FAILED)


def _server_said(error: Exception) -> str | None:
    """A refusal of the database's that no verb foresaw, as one line; None for any other error."""
    import psycopg  # noqa: PLC0415 - not for help

    cause = getattr(error, "orig", None) or error  # SQLAlchemy wraps it
    if not isinstance(cause, psycopg.Error):
        return None
    words = " ".join((cause.diag.message_primary or str(cause)).split())
    return f"the database refused: {words}" + (f" (SQLSTATE {cause.sqlstate})" if cause.sqlstate else "")


if __name__ == "__main__":
    main()
