"""Plum Desktop: a private assistant that learns from its own chats, on one laptop."""

__version__ = "0.1.0"
