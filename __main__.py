"""What `pulumi up` deploys: settings -> a platform with databases -> their schemas -> outputs."""

import sys

import pulumi

from db.errors import DbError
from infra.errors import DeploymentError
from infra.platform import Platform
from infra.schema import Schema
from infra.settings import Settings
from infra.targets import deploy

# the language host then adds no message of its own (pulumi-language-python-exec)
ALREADY_SHOWN = 32


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


try:
    settings = Settings.load()
    platform = deploy(settings)
    schema = Schema("schema", settings, platform)
    platform.admit(schema.done)
    export(settings, platform)
except (DeploymentError, DbError) as error:
    pulumi.log.error(str(error))
    sys.exit(ALREADY_SHOWN)
