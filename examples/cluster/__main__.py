"""C{make cluster-demo}."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from .balancer import program
from .database import schema, server
from .errors import Failed, Missing
from .story import Story

# It takes some 20 s; where there is not much of a machine, more. After this it is over.
_LIMIT_S = 80.0


def main() -> int:
    """
    Show it.

    @return: the exit status.
    """
    # As Control-C: all that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        haproxy = program()
        with server() as url, schema(url) as (ledger, shown), TemporaryDirectory(prefix="scalemgr-") as folder:
            story = Story(Path(folder), ledger, haproxy, lambda line: print(line, flush=True))
            story.tell(f"the ledger: {shown}, which is dropped at the end")
            shown = asyncio.run(_bounded(story))
        print(shown, flush=True)
        return 0
    except Missing as e:
        return _sorry(e, 2)
    except Failed as e:
        return _sorry(e, 1)
    except TimeoutError:
        return _sorry(f"it is not done after {_LIMIT_S:g} s, and was ended", 1)
    except KeyboardInterrupt:
        return _sorry("ended by Control-C; nothing is left of it", 130)


async def _bounded(story: Story) -> str:
    async with asyncio.timeout(_LIMIT_S):
        return await story.run()


def _sorry(why: object, status: int) -> int:
    print(f"cluster-demo: {why}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
