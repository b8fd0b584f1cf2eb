"""C{python -m scalemgr}: the same as C{scalemgr}."""

import sys

from .cli import main

sys.exit(main())
