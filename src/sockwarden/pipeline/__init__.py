"""Builds a run from settings: sources to sinks. Only here and in cli is the order of the rooms known."""

from sockwarden.pipeline.hunt import Hunt, Started, Window

__all__ = ["Hunt", "Started", "Window"]
