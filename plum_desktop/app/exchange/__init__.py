"""Chats in and out of files: ours, ChatGPT's and Claude's in; JSON Lines, JSON, Markdown out."""

from plum_desktop.app.exchange.reading import ImportReport, import_file
from plum_desktop.app.exchange.writing import ExportFormat, export_chats

__all__ = ["ExportFormat", "ImportReport", "export_chats", "import_file"]
