"""The one database: chats, messages, facts, runs and adapters.  Knows only `base`."""

from plum_desktop.store.store import Store

__all__ = ["Store"]
