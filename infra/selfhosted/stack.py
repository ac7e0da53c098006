"""What every part of a stack shares: its labels, its parentage, and values kept in the state for ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.settings import Settings

LABEL_STACK = "pgstack.stack"
LABEL_ROLE = "pgstack.role"
LABEL_ID = "pgstack.id"


@dataclass(frozen=True)
class Names:
    """Everything of a stack is called `<project>-<stack>-<role>` and labelled with the first two."""

    prefix: str
    id: pulumi.Input[str] = ""  # the stack's own, from its state; what carries it is created after it was claimed

    @classmethod
    def of(cls, settings: Settings) -> "Names":
        """The names of the stack that `settings` describe."""
        return cls(settings.name)

    def __call__(self, role: str) -> str:
        return f"{self.prefix}-{role}"

    def labels(self, role: str) -> dict[str, str]:
        """The labels by which a person finds a container, network or volume."""
        return {LABEL_STACK: self.prefix, LABEL_ROLE: role}

    def owned(self, role: str) -> dict[str, pulumi.Input[str]]:
        """The same, and the id that tells two states' stacks of one name apart."""
        return {**self.labels(role), LABEL_ID: self.id}


def child(parent: pulumi.Resource, **options: Any) -> pulumi.ResourceOptions:
    """Options of a resource that belongs to `parent`."""
    return pulumi.ResourceOptions(parent=parent, **options)


def kept(
    name: str, value: pulumi.Input[Any], parent: pulumi.Resource, *, secret: bool = True, lasting: bool = False
) -> pulumi.Output[Any]:
    """The value this was first created with, whatever `value` is later; encrypted in the state if `secret`.

    What is `lasting` is protected like the data that is worth nothing without it: `pulumi destroy --skip-preview`
    stops only at what is protected.
    """
    given: pulumi.Input[Any] = pulumi.Output.secret(value) if secret else value
    stash = pulumi.Stash(name, input=given, opts=child(parent, ignore_changes=["input"], protect=lasting))
    return stash.output


def labelled(names: Mapping[str, pulumi.Input[str]], kind: type[Any]) -> list[Any]:
    """Labels as the Docker provider's list of `kind` (ContainerLabelArgs and its like)."""
    return [kind(label=label, value=value) for label, value in sorted(names.items())]
