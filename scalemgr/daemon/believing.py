"""Which tokens are believed, from the configuration: at the start, and when it is read again."""

from __future__ import annotations

from pathlib import Path

from ..config import AuthSettings, Settings
from ..server.auth import Authenticator
from ..server.factory import ManagerFactory
from ..server.keys import KeyFile, loadKeys
from ..server.tokens import Keys
from .reloading import Apply

__all__ = ["Believing", "keyFilesOf", "keysOf"]


def keyFilesOf(settings: AuthSettings, base: Path) -> list[KeyFile]:
    """
    Where the keys are.

    @param base: the folder of the configuration file.
    """
    return [KeyFile.read(entry, base) for entry in settings.key_files]


def keysOf(settings: AuthSettings, base: Path) -> Keys:
    """
    The keys, and what is revoked; this reads files.

    @raise KeyRefused: naming the one that is no good.
    """
    revoked = base / settings.revoked if settings.revoked else None
    return loadKeys(settings.algorithm, keyFilesOf(settings, base), settings.audience, revoked)


class Believing:
    """
    Lets a running daemon believe other keys, and no longer what is revoked: C{IReloadable}. Sessions that speak for
    somebody who is not believed any more need another token, and are not dropped.

    @param keys: what is believed now.
    """

    def __init__(self, keys: Keys, auth: Authenticator, factory: ManagerFactory, base: Path) -> None:
        self._keys = keys
        self._auth = auth
        self._factory = factory
        self._base = base

    def prepare(self, settings: Settings) -> Apply:
        keys = keysOf(settings.auth, self._base)

        def apply() -> str:
            before, self._keys = self._keys, keys
            self._auth.renew(keys)
            return _said(before, keys, self._factory.reconsider(self._auth.isBelieved))

        return apply


def _said(before: Keys, after: Keys, doubted: int) -> str:
    """What has changed, for the log."""
    old, new = (set(keys.candidates("")) for keys in (before, after))
    said = []
    if old != new:
        said.append(f"keys: {len(new - old)} new, {len(old - new)} gone")
    if before.revoked != after.revoked:
        more, fewer = len(after.revoked - before.revoked), len(before.revoked - after.revoked)
        said.append(f"revoked tokens: {more} more, {fewer} fewer")
    if doubted:
        said.append(f"sessions that need another token: {doubted}")
    return "; ".join(said)
