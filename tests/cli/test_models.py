"""models catalog and models download, as typed; the hub is a real server on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from plum_desktop.app.downloads import ENV_ENDPOINT
from plum_desktop.base.paths import DataFolder
from tests.hub import Hub, serve, tiny_gguf

NAME, FILE = "Qwen3 0.6B", "Qwen3-0.6B-Q8_0.gguf"


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve(Hub(tiny_gguf(900_000))) as running:
        monkeypatch.setenv(ENV_ENDPOINT, running.url)
        yield running


def test_the_catalog(run) -> None:
    rows = run("models", "catalog", "--json").rows
    assert len(rows) == 15
    assert rows[0]["model"]["repo"] == "bartowski/SmolLM2-135M-Instruct-GGUF"
    assert rows[0]["downloaded_bytes"] == 0
    said = run("models", "catalog").out
    assert "Qwen3 4B\n    The ablest small model" in said
    assert "about 2.5 GB, Q4_K_M, Apache-2.0" in said
    learners = run("models", "catalog", "--learns", "--json").rows
    assert learners
    assert all(row["can_learn"] for row in learners)
    assert "Phi-3.5 mini Instruct" not in run("models", "catalog", "--learns").out
    assert all(row["fit"] == "fits" for row in run("models", "catalog", "--fits", "--json").rows)


def test_a_download(run, data_folder: DataFolder, hub: Hub) -> None:
    ran = run("models", "download", "qwen3 0.6b")
    assert ran.status == 0
    assert "100%  1 MB of 1 MB" in ran.out
    assert f"`plum-desktop models use {FILE[:-5]}` chats with it." in ran.out
    assert (data_folder.models / FILE).read_bytes() == hub.data
    ran = run("models", "download", NAME)
    assert ran.status == 1
    assert ran.err == "plum-desktop: Qwen3 0.6B is here already.\n"
    assert NAME not in run("models", "catalog").out


def test_a_download_in_json(run) -> None:
    rows = run("models", "download", NAME, "--json").rows
    assert [row["event"] for row in rows[-2:]] == ["progress", "done"]
    assert rows[-2]["done"] == rows[-2]["total"]
    assert rows[-1]["name"] == FILE


def test_refusals(run, hub: Hub) -> None:
    ran = run("models", "download", "GPT")
    assert ran.status == 1
    assert "no model called 'GPT' to download" in ran.err
    hub.statuses = [(401, {})]
    ran = run("models", "download", NAME)
    assert ran.status == 1
    assert ran.err.endswith("asks for an access token for Qwen3-0.6B-Q8_0.gguf; set one in "
                            "Settings.\n")  # fmt: skip


def test_the_token_is_not_listed(run) -> None:
    run("settings", "set", "token", "hf_mine")
    assert "token = (set)" in run("settings", "get").out
    assert "hf_mine" not in run("settings", "get").out


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_and_the_same_command_again(
    run, hub: Hub, program: Callable[..., subprocess.Popen[str]], data_folder: DataFolder
) -> None:
    hub.pace = 0.03
    child = program("models", "download", NAME, "--json")
    assert child.stdout
    while json.loads(child.stdout.readline())["done"] < 100_000:
        pass
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "the same command goes on" in err
    (row,) = [row for row in run("models", "catalog", "--json").rows if row["downloaded_bytes"]]
    assert row["model"]["name"] == NAME
    assert "% is here)" in run("models", "catalog").out
    hub.pace = 0
    assert run("models", "download", NAME).status == 0
    asked = hub.of("store", "GET")[-1].headers["range"]
    assert asked == f"bytes={row['downloaded_bytes']}-"
    assert (data_folder.models / FILE).read_bytes() == hub.data
