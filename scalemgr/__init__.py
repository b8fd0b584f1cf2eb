"""scalemgr: a Twisted daemon that speaks ScaleTrade's manager TCP API and owns the money behind it."""

__version__ = "0.1.0"
