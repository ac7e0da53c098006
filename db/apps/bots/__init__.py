"""Bottleneck-Bots: organizations whose bots run on schedules, alone and in workflows (bottleneck-bots.md)."""
