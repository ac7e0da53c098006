"""Bottleneck-Bots: organizations whose bots run on schedules, alone and in workflows (bottleneck-bots.md)."""

MAINTENANCE = ("SELECT bots.make_partitions()", "CALL bots.apply_retention()")
"""What the app's owner does once a day: partitions first and by themselves; no failing clean-up may stop the logs."""
