"""Who was behind an access: here, the runtime component that a program claims to be."""

from sockwarden.enrich.component import name_component

__all__ = ["name_component"]
