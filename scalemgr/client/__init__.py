"""How one uses it from Python: a session without I/O, and drivers for it."""
