"""The one exception of tools/: something a user can mend, said in one line."""

from __future__ import annotations


class ToolError(Exception):
    """What is wrong, with which value, and what to type."""
