"""Print what setup.cfg requires to run, to test or to lint, with every kind of ledger, one a line."""

import sys
from configparser import ConfigParser

setup = ConfigParser()
setup.read("setup.cfg")
print(setup["options"]["install_requires"].strip())
print(setup["options.extras_require"]["postgresql"].strip())
if sys.argv[1] != "run":
    print(setup["options.extras_require"][sys.argv[1]].strip())
