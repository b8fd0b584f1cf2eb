"""How fast it is, for anyone to measure: C{make bench}. What each figure is, and how it is taken: README.md here."""
