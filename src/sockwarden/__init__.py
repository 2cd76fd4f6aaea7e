"""sockwarden: who reached a container runtime's control socket, by what name, and what the rules say of it."""

__version__ = "0.1.0"
