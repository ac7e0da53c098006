"""One setting chooses the target; each answers with the same contract."""

from infra.platform import Platform
from infra.selfhosted.platform import SelfHosted
from infra.selfhosted.preflight import survey
from infra.settings import Settings


def deploy(settings: Settings) -> Platform:
    """Declare the target's resources. Raises DeploymentError, before the first, when the host can't take them."""
    return SelfHosted("selfhosted", settings, survey(settings)).platform
