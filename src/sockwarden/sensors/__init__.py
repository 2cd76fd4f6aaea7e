"""Live sources that need privilege: the only room that does."""
