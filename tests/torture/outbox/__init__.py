"""A list of payments, deposited by a client with an outbox, while it and the daemon are killed: L{__main__} runs it."""
