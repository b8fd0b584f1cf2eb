"""twistd -ny etc/scalemgr.tac: the daemon with the configuration beside this file, or the one in SCALEMGR_CONFIG."""

import os
from pathlib import Path

from twisted.application.service import Application

from scalemgr.tap import Options, makeService

config = os.environ.get("SCALEMGR_CONFIG") or str(Path(__file__).with_name("scalemgr.toml"))
options = Options()
options.parseOptions(["--config", config])

application = Application("scalemgr")
makeService(options).setServiceParent(application)
