"""Files that go with a message: their text, and how the model gets to see it."""

from __future__ import annotations

import codecs
import logging
import re
import time
from pathlib import Path

from plum_desktop.base.errors import PlumError, unreadable
from plum_desktop.base.types import Attachment, Message

_LARGEST_TEXT = 4 << 20  # bytes; some million tokens, which no model here can read
_LARGEST_PDF = 64 << 20
_LONGEST = 4_000_000  # characters that a PDF's pages may come to
_LONGEST_NAME = 120
_PATIENCE = 60.0  # seconds for all pages
_PDF = b"%PDF-"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")  # no text has them; ESC is in logs
_CHARACTERS_A_TOKEN = 4


def read_attachment(path: Path) -> Attachment:
    """The text of a text file or a PDF.

    Raises PlumError, one sentence with the file's name, for anything else, and for what
    cannot be read, is too large or has no text.
    """
    name = _shown(path.name)
    try:
        if path.is_dir():
            raise PlumError("{name} is a folder; attach the files in it one by one.", name=name)
        if not path.is_file():  # a pipe or a device would never end
            raise PlumError(
                "{name} is not there any more, or is no file that can be read.", name=name
            )
        with path.open("rb") as stream:
            is_pdf = stream.read(len(_PDF)) == _PDF
            largest = _LARGEST_PDF if is_pdf else _LARGEST_TEXT
            if path.stat().st_size > largest:
                raise PlumError(
                    "{name} is too large to attach: more than {largest} MB; attach the part "
                    "that matters.",
                    name=name,
                    largest=largest >> 20,
                )
            stream.seek(0)
            data = b"" if is_pdf else stream.read(largest)
    except PermissionError as error:
        raise PlumError(
            "{name} cannot be opened: you have no permission to read it.", name=name
        ) from error
    except OSError as error:
        raise unreadable(name, error) from error
    text = _pdf_text(path, name) if is_pdf else _decoded(data, name)
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n").strip("\n")
    if not text.strip():
        if is_pdf:
            raise PlumError(
                "{name} has no text in it, only pictures of pages, it seems.", name=name
            )
        raise PlumError("{name} is empty.", name=name)
    return Attachment(name, text)


def content_of(message: Message) -> str:
    """What the model reads: each file with its name, then the user's own words.

    The words come last: where all is too long, the beginning is what is left out.
    """
    files = [
        f"[File: {file.name}]\n{file.text}\n[End of file: {file.name}]"
        for file in message.attachments
    ]
    return "\n\n".join([*files, message.text])


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, where no model is there to count them."""
    return -(-len(text.encode()) // _CHARACTERS_A_TOKEN)


def _shown(name: str) -> str:
    """A file's name in one line, without what would pass for the form around it."""
    name = "".join(c if c.isprintable() else " " for c in name).strip()
    name = name.replace("[", "(").replace("]", ")")
    if len(name) > _LONGEST_NAME:
        stem, ending = name[: _LONGEST_NAME - 13], name[-12:]
        name = f"{stem}…{ending}"
    return name or "file"


def _decoded(data: bytes, name: str) -> str:
    """UTF-8, else what its mark says, else Windows' Western code page."""
    encoding = next((kind for mark, kind in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    if _CONTROL.search(text):
        raise PlumError(
            "{name} is not a text file; only text and PDF files can be attached.", name=name
        )
    return text


def _pdf_text(path: Path, name: str) -> str:
    """The text of every page.  The reader is imported here: few chats ever see a PDF."""
    from pypdf import PasswordType, PdfReader
    from pypdf.errors import DependencyError

    # It warns of every flaw that it can live with, and quotes the file.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    pages: list[str] = []
    length = 0
    try:
        with PdfReader(path) as reader:
            if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
                raise PlumError(
                    "{name} is protected by a password; save a copy without one.", name=name
                )
            began = time.monotonic()
            for page in reader.pages:
                pages.append(page.extract_text())
                length += len(pages[-1])
                if length > _LONGEST or time.monotonic() - began > _PATIENCE:
                    raise PlumError(
                        "{name} has too much text to attach; save the pages that matter as a "
                        "PDF of their own.",
                        name=name,
                    )
    except PlumError:
        raise
    except DependencyError as error:
        raise PlumError(
            "{name} is protected by encryption; save a copy without it.", name=name
        ) from error
    except Exception as error:  # a broken file can break its reader anywhere
        raise PlumError(
            "{name} is damaged or no real PDF, so it cannot be read.", name=name
        ) from error
    return _CONTROL.sub("", "\n\n".join(pages))
