"""What `pulumi up` creates: settings, the targets that answer the platform contract, and the schema step."""

from infra import interrupts

interrupts.end_quietly()  # first of all: Ctrl-C may come while the rest is loading
