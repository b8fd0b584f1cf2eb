"""What is said: codes, errors and messages of the manager TCP API. No I/O, no Twisted."""
