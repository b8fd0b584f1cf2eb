"""A campaign against a real daemon that is killed, stopped, held and starved all the while: L{__main__} runs it."""
