"""What a verb of `pgstack` can't do, each as one line that names the thing, the value and the way out."""

FAILED = 1  # what was asked for did not succeed, or something is wrong with the stack
UNKNOWN = 2  # can't tell: no tools, no such stack, no engine; click's own code for wrong usage is the same


class OpsError(Exception):
    """A verb failed; `code` is the exit code."""

    code = FAILED


class UnknownError(OpsError):
    """What would have to be known to go on can't be found out."""

    code = UNKNOWN


class NoSuchStackError(UnknownError):
    """The state knows no stack of that name."""


class PulumiError(UnknownError):
    """The Pulumi CLI could not answer."""


class EngineError(OpsError):
    """The Docker Engine refused, or a command inside a container failed."""
