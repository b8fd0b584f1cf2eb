"""Who is talking: sessions, tokens, and the way from a line to a command and back."""
