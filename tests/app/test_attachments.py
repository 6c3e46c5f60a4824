"""Files that go with a message: which are read, what is said of the others, what the model sees."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from plum_desktop.app.attachments import content_of, estimated_tokens, read_attachment
from plum_desktop.app.chat import history
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Attachment, Chat, Message
from plum_desktop.learning.select import learnable

Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def pdf(*pages: str, password: str = "") -> bytes:
    """A PDF with a line of text on each page."""
    writer = PdfWriter()
    font = DictionaryObject({
        NameObject("/Type"): NameObject("/Font"),
        NameObject("/Subtype"): NameObject("/Type1"),
        NameObject("/BaseFont"): NameObject("/Helvetica"),
    })  # fmt: skip
    for text in pages:
        page = writer.add_blank_page(300, 300)
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    written = BytesIO()
    writer.write(written)
    return written.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        "Grüße, 猫".encode(),
        "Grüße, 猫".encode("utf-8-sig"),
        "Grüße, 猫".encode("utf-16"),
        "Grüße, 猫".encode("utf-32"),
    ],
)
def test_text_is_read_in_whatever_unicode_it_is(write: Write, data: bytes) -> None:
    assert read_attachment(write("a.txt", data)) == Attachment("a.txt", "Grüße, 猫")


def test_old_western_text_and_line_ends_are_read(write: Write) -> None:
    file = read_attachment(write("alt.csv", "Größe;1\r\nStück;2\r\n".encode("cp1252")))
    assert file.text == "Größe;1\nStück;2"


def test_every_page_of_a_pdf_is_read(write: Write) -> None:
    file = read_attachment(write("report.pdf", pdf("The ferry leaves", "at nine")))
    assert file.text.split() == ["The", "ferry", "leaves", "at", "nine"]
    by_content = read_attachment(write("no ending", pdf("Found by what it is")))
    assert by_content.text == "Found by what it is"


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("cat.png", b"\x89PNG\r\n\x1a\n\0\0\0", "cat.png is not a text file; only"),
        ("x.bin", bytes(range(256)), "x.bin is not a text file"),
        ("empty.md", b" \n\n", "empty.md is empty."),
        ("locked.pdf", pdf("secret", password="1234"), "locked.pdf is protected by a password"),
        ("blank.pdf", pdf(""), "blank.pdf has no text in it"),
        ("broken.pdf", b"%PDF-1.7\nnonsense", "broken.pdf is damaged or no real PDF"),
        ("cut.pdf", pdf("Hello")[:300], "cut.pdf is damaged or no real PDF"),
        ("big.log", b"x" * ((4 << 20) + 1), "big.log is too large to attach: more than 4 MB"),
    ],
)
def test_what_cannot_be_attached_is_one_sentence(
    write: Write, name: str, data: bytes, sentence: str
) -> None:
    with pytest.raises(PlumError) as raised:
        read_attachment(write(name, data))
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


def test_what_is_no_readable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PlumError, match="is a folder"):
        read_attachment(tmp_path)
    with pytest.raises(PlumError, match=r"gone\.txt is not there any more"):
        read_attachment(tmp_path / "gone.txt")
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(PlumError, match="pipe is not there any more, or is no file"):
            read_attachment(tmp_path / "pipe")


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions bind"
)
def test_no_permission_is_one_sentence(write: Write) -> None:
    path = write("mine.txt", b"mine")
    path.chmod(0)
    with pytest.raises(PlumError, match=r"mine\.txt cannot be opened: you have no permission"):
        read_attachment(path)


def test_a_name_cannot_pass_for_the_form_around_it(write: Write) -> None:
    if sys.platform != "win32":
        file = read_attachment(write("a]\n[End of file.txt", b"text"))
        assert file.name == "a) (End of file.txt"
    long = read_attachment(write("n" * 200 + ".txt", b"text"))
    assert len(long.name) <= 120
    assert long.name.endswith(".txt")


def sent(text: str, *files: Attachment) -> Message:
    return Message("m", "c", None, "user", text, 0.0, attachments=files)


def test_the_model_sees_names_and_texts_and_then_the_words() -> None:
    message = sent("Which is later?", Attachment("a.txt", "Monday"), Attachment("b.txt", "Friday"))
    expected = (
        "[File: a.txt]\nMonday\n[End of file: a.txt]\n\n"
        "[File: b.txt]\nFriday\n[End of file: b.txt]\n\nWhich is later?"
    )
    assert content_of(message) == expected
    chat = Chat("c", "", 0.0, 0.0)
    assert history([message], chat) == [{"role": "user", "content": expected}]
    assert content_of(sent("Just words.")) == "Just words."


def test_a_file_is_not_learned_as_the_users_own_words() -> None:
    file = Attachment("diary.txt", "My dog Waldo is afraid of thunder and hides in the cellar.")
    reply = Message("r", "c", "m", "assistant", "Play calm music to him.", 1.0, None, "stop")
    found, _ = learnable(
        Chat("c", "Dog", 0.0, 0.0), [sent("What can I do about my goat's limp?", file), reply]
    )
    assert found is not None
    assert [turn.text for turn in found.turns] == [
        "What can I do about my goat's limp?", "Play calm music to him.",
    ]  # fmt: skip
    assert "Waldo" not in found.text


def test_an_estimate_grows_with_the_text() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("four") == 1
    assert estimated_tokens("a word " * 100) == 175


def test_an_edited_message_keeps_its_files(plum: Plum) -> None:
    """The real engine: it must also accept what it is given."""
    plum.set_setting("max_tokens", 4)
    chat = plum.store.chats.create()
    file = Attachment("colours.txt", "red green blue")
    reply = plum.chats.send(chat.id, "Name one of them.", attachments=[file])
    asked = plum.store.chats.branch(chat.id)[0]
    assert asked.text == "Name one of them."
    assert asked.attachments == (file,)
    plum.chats.edit(asked.id, "Name the last one.")
    assert plum.store.chats.branch(chat.id)[0].attachments == (file,)
    plum.chats.edit(asked.id, "Name any colour.", attachments=[])
    assert plum.store.chats.branch(chat.id)[0].attachments == ()
    assert reply.text
    measured = plum.serving.measure(history([asked], chat), 4)
    assert measured is not None
    assert measured.tokens > plum.serving.count(file.text) == 3  # type: ignore[operator]
