"""Builds a run from settings: sources to sinks. Only here and in cli is the order of the rooms known."""
