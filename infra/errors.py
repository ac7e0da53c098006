"""What can stop a deployment before or while it runs; each message is shown to the user as it is."""


class DeploymentError(Exception):
    """The deployment cannot go on; the message says what is wrong, with which value, and what to do."""


class SettingsError(DeploymentError):
    """One or more settings are wrong; `problems` holds one line each.

    Raised by `infra.settings.parse` before any resource is declared.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class EngineError(DeploymentError):
    """The Docker Engine does not answer, refuses, or a command inside a container failed."""
