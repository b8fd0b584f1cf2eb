"""How the daemon is joined, and lives: what starts and stops, in which order; where it listens; what is read again."""
