"""Questions before something is lost; without a terminal nobody can answer them."""

import sys

import typer

from ops.errors import FAILED, OpsError


def confirm(question: str) -> None:
    """Go on if the answer is yes, else end the verb."""
    _somebody_there()
    if not typer.confirm(question):
        print("nothing was changed")
        raise typer.Exit(FAILED)


def confirm_name(stack: str) -> None:
    """Go on if the stack's name is typed, else end the verb."""
    _somebody_there()
    typed = typer.prompt("Type the stack's name to go on", default="", show_default=False)
    if typed.strip() != stack:
        print("that is not its name: nothing was changed")
        raise typer.Exit(FAILED)


def _somebody_there() -> None:
    if not sys.stdin.isatty():
        raise OpsError("this asks before it goes on, and nobody is at a terminal to answer: give --yes")
