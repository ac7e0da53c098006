"""The `pgstack` command: one file a verb. It reads a stack's outputs, never its internals; nothing imports it."""

PROJECT = "pgstack"  # Pulumi.yaml
