"""What `pulumi up` deploys: settings -> a platform with databases -> their schemas -> outputs."""

import pulumi

from infra.platform import Platform
from infra.schema import Schema
from infra.settings import Settings
from infra.targets import deploy


def export(settings: Settings, platform: Platform) -> None:
    """The contract of outputs: one value each, secrets marked secret."""
    pulumi.export("target", platform.target)
    pulumi.export("environment", settings.environment)
    pulumi.export("apps", list(settings.apps))
    pulumi.export("ca_certificate", platform.ca_certificate)
    for app, urls in platform.apps.items():
        pulumi.export(f"{app}_pooled_url", urls.pooled)
        pulumi.export(f"{app}_readonly_url", urls.readonly)
        pulumi.export(f"{app}_direct_url", urls.direct)
    for name, value in platform.outputs.items():
        pulumi.export(name, value)


settings = Settings.load()
platform = deploy(settings)
Schema("schema", settings, platform)
export(settings, platform)
