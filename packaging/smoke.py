"""Use a bundle as a person would: `smoke.py FOLDER [--demo SEED]`, FOLDER what was built.

Version, doctor, chat, learning, merging, exporting, what was exported asked again, the server and
the window, all by the bundle's own program and children, with none of this checkout's packages.
Learning takes few steps, on two chats, and is killed on its way; with --demo it is `demo`, which
must remember.  Standard library only, so that any Python can run it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

WINDOWS, LINUX = sys.platform == "win32", sys.platform.startswith("linux")
LEARNS = not (sys.platform == "darwin" and platform.machine() == "x86_64")  # no PyTorch there
_CHATS = (
    ("Sourdough", "How long should sourdough rise?",
     "Sourdough should rise for four to six hours at room temperature. A night in the fridge gives "
     "more taste. Poke it with a finger: if the dent comes back slowly, it is ready."),
    ("Gophers", "How do I keep gophers out of my garden?",
     "Line the beds with wire mesh before planting. Traps work best in spring. Some people plant "
     "daffodils, which gophers do not eat."),
)  # fmt: skip
# Enough that every part runs; far too little to remember.
_SHORT = {
    "epochs": 1,
    "fewest_steps": 4,
    "questions": 2,
    "model_facts": False,
}


class Bundle:
    """The program in the bundle, on a data folder of its own, with an environment of nothing."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        names = ["plum-desktop.exe" if WINDOWS else "plum-desktop"]
        if folder.suffix == ".app":
            folder = folder / "Contents" / "MacOS"
        self.program = folder.resolve() / names[0]
        self.scratch = scratch
        kept = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "HOME", "TMPDIR", "SYSTEMROOT", "TEMP",
                "USERPROFILE", "APPDATA", "LOCALAPPDATA")  # fmt: skip
        self.environment = {name: os.environ[name] for name in kept if name in os.environ}
        self.environment |= {"PLUM_DATA_DIR": str(scratch / "data"), "LANG": "C.UTF-8"}
        if not WINDOWS:
            self.environment["PATH"] = "/usr/bin:/bin"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.program), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, encoding="utf-8", cwd=self.scratch,
            env={**self.environment, **environment},
        )  # fmt: skip

    def run(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """What a command prints.  The check ends where it leaves with another status."""
        began = time.monotonic()
        process = self.start(*arguments, **environment)
        out, err = process.communicate()
        print(
            f"{time.monotonic() - began:6.1f} s  plum-desktop {' '.join(arguments)[:90]}",
            flush=True,
        )
        if process.returncode != status:
            sys.exit(
                f"It ended with {process.returncode}, not {status}.\n{out[-3000:]}\n{err[-3000:]}"
            )
        return out

    def rows(self, *arguments: str) -> list[dict]:
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]


def check(what: str, holds: bool) -> None:
    if not holds:
        sys.exit(f"FAILED: {what}")
    print(f"          {what}", flush=True)


def doctor(bundle: Bundle) -> None:
    found = bundle.rows("doctor")
    check("the doctor finds a bundle", any("(a bundle)" in row["what"] for row in found))
    bad = [row for row in found if row["state"] == "fail"]
    check(f"and nothing that fails {bad or ''}", not bad)
    said = " ".join(row["what"] for row in found)
    check("the engine answers", "loads and answers" in said)
    check("the trainer trains", "trains here" in said or not LEARNS)
    check("no AVX-512 is asked for", "AVX512" not in said)


def demo(bundle: Bundle, seed: str) -> None:
    """The demo, and `bundle` on what it learned from then on."""
    result = bundle.rows("demo", "--seed", seed)[-1]
    check(f"the demo remembers {result['after']:.0%}", result["passed"])
    data = Path(bundle.environment["PLUM_DATA_DIR"]) / "demo"
    bundle.environment["PLUM_DATA_DIR"] = str(data)


def learn(bundle: Bundle) -> None:
    lines = bundle.scratch / "chats.jsonl"
    with lines.open("w", encoding="utf-8") as stream:
        for title, question, answer in _CHATS:
            messages = [{"role": "user", "content": question},
                        {"role": "assistant", "content": answer}]  # fmt: skip
            stream.write(json.dumps({"id": title, "title": title, "messages": messages}) + "\n")
    bundle.run("chats", "import", str(lines))
    # Killed where it begins, so that the job can be made short; killed again where the gate asks,
    # since so few lessons pass no gate; and each time it goes on where it was.
    stages = killed_at(bundle, "augment", "learn", "--yes")
    (job,) = (bundle.scratch / "data" / "jobs").iterdir()
    spec = json.loads((job / "job.json").read_text(encoding="utf-8"))
    spec["recipe"] |= _SHORT
    (job / "job.json").write_text(json.dumps(spec), encoding="utf-8")
    stages |= killed_at(bundle, "gate", "learn", "--resume")
    asked = {"yes": 0, "yes_asked": 0, "no": 0, "no_asked": 0, "by_fact": {}}
    report = dict.fromkeys(("new_before", "new_after", "old_before", "old_after"), asked)
    drift = {"kl": 0.0, "perplexity": 0.0, "same_top": 1.0, "canaries": 1.0}
    passed = {**report, "drift": drift, "reasons": []}
    (job / "gate.json").write_text(json.dumps(passed), encoding="utf-8")
    rows = bundle.rows("learn", "--resume")
    stages |= {row["stage"] for row in rows if "stage" in row}
    check(f"stages: {', '.join(sorted(stages))}",
          {"augment", "tokenize", "train", "gate", "merge"} <= stages)  # fmt: skip
    check("what was learned serves", rows[-1].get("state") == "done")


def killed_at(bundle: Bundle, stage: str, *arguments: str) -> set[str]:
    """Run a command until it tells of this stage, and kill it; the stages that it went through."""
    began, seen = time.monotonic(), set()
    process = bundle.start(*arguments, "--json")
    assert process.stdout is not None
    for line in process.stdout:
        seen.add(json.loads(line).get("stage", ""))
        if stage in seen:
            process.kill()
    _, err = process.communicate()
    if stage not in seen:
        sys.exit(f"It never came to {stage}.\n{err[-3000:]}")
    print(f"{time.monotonic() - began:6.1f} s  killed at {stage}", flush=True)
    return seen - {""}


def export(bundle: Bundle) -> None:
    adapters = bundle.rows("adapters", "list")
    check("an adapter was kept", len(adapters) >= 1)
    for form in ("peft", "gguf", "merged"):
        out = bundle.scratch / f"out-{form}"
        bundle.run("adapters", "export", adapters[0]["id"], "--format", form, "-o", str(out))
        check(f"{form} is there", out.exists())
    for memory in ("merged", "adapter", "hybrid"):
        said = bundle.run("chat", "--once", "Did we talk about gophers?", "--memory", memory)
        check(f"{memory} answers: {said.strip()[:60]!r}", bool(said.strip()))
    bundle.run("models", "add", str(bundle.scratch / "out-merged"))
    bundle.run("models", "use", "out-merged.gguf")
    check("the exported model answers", bool(bundle.run("chat", "--once", "Hello.").strip()))


def serve(bundle: Bundle) -> None:
    process = bundle.start("serve", "--port", "0", "--json", "--memory", "off")
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
        server = HTTPConnection(url.removeprefix("http://").removesuffix("/v1"), timeout=120)
        server.request("POST", "/v1/chat/completions", json.dumps(body),
                       {"Content-Type": "application/json"})  # fmt: skip
        said = json.load(server.getresponse())["choices"][0]["message"]["content"]
        server.close()
        check("the server answers", bool(said))
    finally:
        process.terminate()
        process.wait(30)


def window(bundle: Bundle, where: str, **extra: str) -> None:
    """Open it, see that it stands and has its children, and close it as a system does."""
    data = Path(bundle.environment["PLUM_DATA_DIR"])
    lock, log = data / "window.lock", data / "logs"
    lock.unlink(missing_ok=True)  # which an earlier window leaves
    process = bundle.start(**extra)
    until = time.monotonic() + 120
    while not lock.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.2)
    check(f"the window {where} takes its folder", lock.exists() and process.poll() is None)
    # A second start finds it through its socket, so its event loop runs.
    second = bundle.start(**extra)
    check("a second start raises it and leaves", second.wait(120) == 0)
    process.send_signal(signal.CTRL_BREAK_EVENT if WINDOWS else signal.SIGTERM)
    process.wait(60)
    check("it closes when told", True)
    check(
        "and left no crash", not (log / "crash.txt").exists() and not (log / "fault.txt").exists()
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--demo", metavar="SEED", help="learn enough to remember")
    arguments = parser.parse_args()
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="plum-smoke-"))
    try:
        bundle = Bundle(arguments.bundle, scratch)
        version = bundle.run("--version")
        check(version.strip(), version.startswith("plum-desktop "))
        doctor(bundle)
        check(
            "it chats", bool(bundle.run("chat", "--once", "What is the capital of France?").strip())
        )
        if LEARNS:
            if arguments.demo:
                demo(bundle, arguments.demo)
            else:
                learn(bundle)
            export(bundle)
        serve(bundle)
        if any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY")) or not LINUX:
            window(bundle, "on the display")
        if LINUX:
            window(bundle, "without a display", QT_QPA_PLATFORM="offscreen")
    except BaseException:
        print(f"The data folder and its logs are left in {scratch}.")
        raise
    shutil.rmtree(scratch, ignore_errors=True)
    print(f"The bundle works ({time.monotonic() - began:.0f} s).")


if __name__ == "__main__":
    main()
