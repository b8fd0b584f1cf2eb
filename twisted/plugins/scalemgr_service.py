"""C{twistd scalemgr} and C{twist scalemgr}."""

from twisted.application.service import ServiceMaker

scalemgr = ServiceMaker("scalemgr", "scalemgr.tap", "ScaleTrade's manager TCP API, on a durable ledger", "scalemgr")
