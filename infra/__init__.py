"""What `pulumi up` creates: settings, the targets that answer the platform contract, and the schema step."""
