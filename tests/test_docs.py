"""What the documents say can be followed: links lead somewhere, and commands are taken."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from plum_desktop.cli import root as cli

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packaging/**/*.md"))
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# `plum-desktop …` in running text names a command too.
INLINE = re.compile(r"`(plum-desktop[^`]*)`")
PROGRAM = re.compile(r"^(?:\$ )?(?:[\w.\\/]*[\\/])?plum-desktop(?=\s|$)")
CHEAP = {"--version", "--help", "models list", "models catalog", "chats list", "memory list",
         "adapters list", "settings get"}  # fmt: skip


def commands() -> Iterator[tuple[str, str]]:
    """(page, command line without the program's name) of every command in a document."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in FENCE.findall(text) for line in block.splitlines()]
        for line in [*lines, *INLINE.findall(FENCE.sub("", text))]:
            if found := PROGRAM.match(line.strip()):
                yield str(page.relative_to(ROOT)), line.strip()[found.end() :].strip()


COMMANDS = sorted(set(commands()))


def anchors(page: Path) -> set[str]:
    """What `#…` may say of a page, by the rule that web pages of repositories follow."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def shell(page: Path) -> Iterator[str]:
    """Every command of a page, fenced or in running text, one line each."""
    text = page.read_text(encoding="utf-8")
    for block in FENCE.findall(text):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())
    yield from re.findall(r"`([^`]+)`", FENCE.sub("", text))


def test_what_is_made_and_run_is_there() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made, run = set(), set()
    for page in PAGES:
        for line in shell(page):
            made |= set(re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z-]+)", line))
            found = re.match(r"(?:\S*python3?|py|bash|ruff check) (\S+[/\\]\S+\.(?:py|sh))", line)
            run |= {found[1].replace("\\", "/")} if found else set()
    assert made <= set(targets)
    assert {"run", "test", "bundle", "wheel", "docs"} <= made
    assert "packaging/smoke.py" in run
    assert [path for path in run if not (ROOT / path).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {
        (index.parent / f"{line}.md").resolve()
        for block in FENCE.findall(index.read_text(encoding="utf-8"))
        for line in block.splitlines()
        if line and not line.startswith(":")
    }
    assert listed == set(PAGES) - {index}


def test_the_pages_of_the_site(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="`make docs` installs it")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "-n",
        "-c",
        ROOT / "docs",
        ROOT,
        tmp_path,
    ]
    subprocess.run(command, check=True)
    assert (tmp_path / "docs" / "index.html").exists()


def leaves(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield from leaves(command) if isinstance(command, click.Group) else [command]


@pytest.fixture
def dry(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have a command line read as ever, and nothing done.  Raises click.UsageError."""
    monkeypatch.setattr(cli, "_open_window", lambda _: None)
    for command in leaves(cli.root):
        monkeypatch.setattr(command, "callback", lambda **_: None)
        for field in command.params:
            if isinstance(field.type, click.Path):
                monkeypatch.setattr(field.type, "exists", False)  # an example's file

    def read(line: str) -> None:
        words = shlex.split(re.sub(r"\s\[.*|…", "", line), comments=True)  # `[--option]…` is a form
        cli.root.main(words, prog_name="plum-desktop", standalone_mode=False)

    return read


def test_there_are_commands() -> None:
    said = {line.split(" ")[0] for _, line in COMMANDS}
    assert {"learn", "doctor", "memory", "adapters", "models", "chats", "serve"} <= said


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_are_taken(dry, page: str, line: str) -> None:
    if line.startswith("_worker"):
        return  # no command, and not click's
    try:
        dry(line)
    except click.exceptions.NoArgsIsHelpError:
        return  # a group, named as such
    except click.UsageError as error:
        pytest.fail(f"{page}: plum-desktop {line}: {error.format_message()}")


@pytest.mark.parametrize("line", ["learn --no-such-thing", "weather", "adapters export --format x"])
def test_a_wrong_command_would_be_found(dry, line: str) -> None:
    with pytest.raises(click.UsageError):
        dry(line)


def test_cheap_commands_work(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cheap = sorted({line.split("#")[0].strip() for _, line in COMMANDS} & CHEAP)
    assert len(cheap) >= 3
    for line in cheap:
        assert cli.run(shlex.split(line)) == 0, line
        assert capsys.readouterr().out, line


def test_the_options_of_the_readmes_table() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z]+) ([^`]*)` \|", text, re.MULTILINE)
    assert len(rows) >= 8
    for name, form in rows:
        command = cli.root.commands[name]
        group = isinstance(command, click.Group)
        known = {
            option
            for each in (leaves(command) if group else [command])
            for field in each.params
            for option in (*field.opts, *field.secondary_opts)
        }
        assert set(re.findall(r"--[a-z-]+", form)) <= known, name
        if group:
            assert set(form.split()[0].replace("\\|", "|").split("|")) <= set(command.commands), (
                name
            )


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name in cli.root.commands if f"`{name}" not in text]
    assert missing == []
