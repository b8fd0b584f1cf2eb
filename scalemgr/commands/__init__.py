"""What can be asked: one family of commands a file. Each is found the same way as anyone's plugin."""
