"""What was asked of a runtime: the bytes of a connection as requests, what each does, and how much that exposes."""
