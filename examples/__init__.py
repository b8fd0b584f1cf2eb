"""What is done with scalemgr, to read and to run."""
