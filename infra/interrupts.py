"""Ctrl-C reaches this program too: the terminal sends it to every process that `pulumi up` started.

Pulumi then ends the update in good order and says so; a traceback among its lines would only hide that.
"""

import sys
from types import TracebackType

_shown = sys.excepthook


def _quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _shown(kind, error, trace)


def end_quietly() -> None:
    """Show no traceback of KeyboardInterrupt; of any other exception, as before."""
    sys.excepthook = _quietly
