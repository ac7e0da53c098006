"""What a bare machine needs before `pulumi up`: stdlib only, run by the system's python3 (3.11 or newer)."""
