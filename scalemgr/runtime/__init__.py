"""What happens: the trading runtime, those who wait for it, and those who listen."""
