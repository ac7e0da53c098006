"""python3 -m tools install | python | shell | stack NAME."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from tools import commands, progress
from tools.errors import ToolError
from tools.places import Places

REPOSITORY = Path(__file__).absolute().parent.parent
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run one verb; 0 if it was done, 1 with one line on standard error if not, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools", description="Bring what `pulumi up` needs on this machine."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("install", help="bring everything that is missing")
    verbs.add_parser("python", help="bring only the Python environment, .venv")
    verbs.add_parser("shell", help='print exports for plain Pulumi: eval "$(python3 -m tools shell)"')
    stack = verbs.add_parser("stack", help="start a stack from a template if it does not exist yet")
    stack.add_argument("name")
    stack.add_argument("--template", default="dev", help="a file of environments/, without .yaml")
    chosen = parser.parse_args(arguments)
    places = Places.of(REPOSITORY, os.environ)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: children stopped, nothing half done
    try:
        _carry_out(places, chosen)
    except ToolError as error:
        progress.say(f"error: {error}")
        return 1
    except BrokenPipeError:  # `python3 -m tools shell | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        progress.say(f"error: {error.strerror}: {error.filename}: free or own that place, then again")
        return 1
    except KeyboardInterrupt:
        commands.stop_all()
        progress.say("interrupted; the next run goes on from here")
        return INTERRUPTED
    return 0


def _carry_out(places: Places, chosen: argparse.Namespace) -> None:
    # imported here: `shell` and `stack` run before every command and should not pay for what only `install` needs
    if chosen.verb == "install":
        from tools.install import install  # noqa: PLC0415

        install(places)
    elif chosen.verb == "python":
        from tools.python_env import bring  # noqa: PLC0415

        bring(places)
    elif chosen.verb == "shell":
        from tools.shell import exports  # noqa: PLC0415

        print(exports(places.repo, places.environ), flush=True)
    else:
        from tools.stack import prepare  # noqa: PLC0415

        prepare(places, chosen.name, chosen.template)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - the point of the check
        sys.exit(
            f"pgstack: error: Python 3.11 or newer is needed, this is {sys.version.split()[0]}: run python3.11 -m tools"
        )
    sys.exit(main(sys.argv[1:]))
