"""One setting chooses the target; each answers with the same contract."""

import pulumi

from infra.errors import DeploymentError
from infra.platform import Platform
from infra.selfhosted.platform import SelfHosted
from infra.settings import Settings


def deploy(settings: Settings) -> Platform:
    """Declare the target's resources. Raises pulumi.RunError, before the first, when the host can't take them."""
    try:
        return SelfHosted("selfhosted", settings).platform
    except DeploymentError as error:
        raise pulumi.RunError(str(error)) from error
