"""What is kept: the log and its views, behind one contract (L{scalemgr.interfaces.ILedger}). No reactor."""
