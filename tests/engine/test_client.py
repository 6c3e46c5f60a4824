from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from plum_desktop.base.errors import Cancelled, DamagedFile, PlumError, WorkerCrashed
from plum_desktop.base.files import FileLock
from plum_desktop.engine.client import Cancellation, EngineClient

HELLO = [{"role": "user", "content": "Name three colours."}]


def ask(engine: EngineClient, messages=HELLO, **options):
    return engine.chat(messages, **{"max_tokens": 12, "temperature": 0, **options})


def test_load_says_what_it_has_loaded(starter):
    engine = EngineClient()
    try:
        assert engine.info() is None
        with pytest.raises(PlumError, match="No model is loaded"):
            engine.count("hello")
        seen = []
        loaded = engine.load(
            starter, n_ctx=100_000, threads=1, on_progress=lambda fraction, _: seen.append(fraction)
        )
        assert (loaded.architecture, loaded.vocab, loaded.template) == ("llama", 49152, True)
        assert loaded.n_ctx == loaded.n_ctx_train == 8192
        assert seen == sorted(seen)
        assert seen[-1] == 1.0
        assert engine.info() == loaded
    finally:
        engine.close()


def test_reply_streams_and_repeats(engine):
    pieces = []
    first = ask(engine, on_text=pieces.append)
    assert "".join(pieces) == first.text
    assert len(pieces) > 3
    assert first.finish_reason == "length"
    assert first.completion_tokens == 12
    assert first.prompt_tokens == engine.count(HELLO) == len(engine.render(HELLO))
    assert 0 < first.first_token_s <= first.seconds
    # From then on all but the last token is in the cache.  Computed alone it is rounded otherwise
    # than among others, on processors without AVX-512, so the first reply may be another one.
    assert ask(engine).text == ask(engine).text


def test_a_reply_that_has_begun_is_gone_on_with(engine):
    whole = ask(engine)
    begun = ask(engine, max_tokens=5)
    rest = ask(engine, max_tokens=7, begun=begun.text)
    assert begun.text + rest.text == whole.text
    with pytest.raises(PlumError, match="too long for the context to be gone on with"):
        ask(engine, begun="and " * 600)


def test_what_fills_the_context_is_told_before_it_is_sent(engine):
    measured = engine.measure(HELLO, max_tokens=24)
    assert measured.tokens == measured.last == engine.count(HELLO)
    assert (measured.dropped, measured.n_ctx, measured.limit) == (0, 1024, 1000)
    turn = [{"role": "user", "content": "word " * 300}, {"role": "assistant", "content": "Yes."}]
    long = [*turn * 5, *HELLO]
    measured = engine.measure(long, max_tokens=24)
    assert measured.dropped == ask(engine, long, max_tokens=24).dropped_turns == 4
    assert measured.tokens <= 1000
    measured = engine.measure([{"role": "user", "content": "word " * 2000}], max_tokens=24)
    assert measured.last > 2000


def test_reply_is_that_of_the_stock_server(engine, starter):
    from llama_cpp import Llama

    stock = Llama(str(starter), n_ctx=1024, n_threads=1, n_threads_batch=1, verbose=False)
    theirs = stock.create_chat_completion(HELLO, temperature=0, max_tokens=24)
    stock.close()
    assert ask(engine, max_tokens=24).text == theirs["choices"][0]["message"]["content"]


def test_seed_decides_a_warm_reply(engine):
    replies = [ask(engine, temperature=1.5, top_k=0, seed=seed).text for seed in (7, 7, 8)]
    assert replies[0] == replies[1] != replies[2]


def test_stop_word_ends_the_reply_and_is_not_shown(engine):
    whole = ask(engine).text
    word = whole.split()[2]
    pieces = []
    cut = ask(engine, stop=[word], on_text=pieces.append)
    assert cut.text == whole[: whole.index(word)] == "".join(pieces)
    assert cut.finish_reason == "stop"


def test_grammar_binds_and_pieces_are_whole_characters(engine):
    pieces = []
    done = engine.complete(
        "A word: ",
        max_tokens=60,
        temperature=0,
        grammar='root ::= "naïve 🙂 日本" [0-9]',
        on_text=pieces.append,
    )
    assert done.text[:-1] == "naïve 🙂 日本"
    assert done.text[-1].isdigit()
    assert done.finish_reason == "stop"
    assert "".join(pieces) == done.text
    with pytest.raises(PlumError, match="grammar"):
        engine.complete("x", grammar="root ::= (")
    for prompt in ("", "word " * 2000):
        with pytest.raises(PlumError, match="does not fit"):
            engine.complete(prompt)


def test_prompt_cache_is_reused_and_changes_nothing(engine):
    first = ask(engine)
    longer = [
        *HELLO, {"role": "assistant", "content": first.text}, {"role": "user", "content": "More."},
    ]  # fmt: skip
    second = ask(engine, longer)
    assert second.evaluated_tokens < second.prompt_tokens / 2
    engine.set_adapter(None)  # forgets the cache
    fresh = ask(engine, longer)
    assert fresh.evaluated_tokens == fresh.prompt_tokens
    assert fresh.text == second.text


def test_long_conversation_loses_its_oldest_turns(engine, starter):
    turns = [{"role": "system", "content": "Be brief."}]
    for number in range(30):
        turns.append({"role": "user", "content": f"Number {number}: " + "word " * 40})
        turns.append({"role": "assistant", "content": "Yes."})
    turns.append({"role": "user", "content": "Well?"})
    with contextlib.closing(EngineClient()) as small:
        small.load(starter, n_ctx=256, threads=1)
        done = ask(small, turns, max_tokens=4)
        assert done.dropped_turns > 0
        assert done.dropped_turns % 2 == 0
        assert 256 - 70 < done.prompt_tokens <= 256 - 4
        assert done.prompt_tokens == small.count([turns[0], *turns[1 + done.dropped_turns :]])
        with pytest.raises(PlumError, match="persona"):
            ask(small, [{"role": "system", "content": "word " * 500}, *HELLO])


def test_cancel_while_the_prompt_is_read(engine):
    long = [{"role": "user", "content": "word " * 900}]
    cancellation = Cancellation()
    threading.Timer(0.3, cancellation.cancel).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        ask(engine, long, cancellation=cancellation)
    cancelled = time.monotonic() - began
    assert ask(engine).completion_tokens == 12
    began = time.monotonic()
    ask(engine, [{"role": "user", "content": "other " * 900}], max_tokens=1)
    assert cancelled < (time.monotonic() - began) / 2, "it was read to its end"


def test_cancel_stops_the_running_request_alone(engine):
    said = []

    def on_text(text):
        said.append(text)
        engine.cancel()

    with pytest.raises(Cancelled):
        ask(engine, max_tokens=400, on_text=on_text)
    assert len(said) < 20


def test_requests_keep_their_order_and_leave_the_line(engine):
    order = []
    started = threading.Event()
    leaver = Cancellation()

    def run(name, **options):
        try:
            ask(engine, max_tokens=40, on_text=lambda _: started.set(), **options)
            order.append(name)
        except Cancelled:
            order.append(f"{name} left")

    threads = []
    for name, cancellation in (("a", None), ("b", None), ("c", leaver), ("d", None)):
        threads.append(threading.Thread(target=run, args=(name,), kwargs={
            "cancellation": cancellation,
        }))  # fmt: skip
        threads[-1].start()
        started.wait(10)
        time.sleep(0.02)
    leaver.cancel()
    for thread in threads:
        thread.join(30)
    assert order == ["c left", "a", "b", "d"]


def test_busy_lock_is_held_while_it_generates(starter, tmp_path):
    lock = FileLock(tmp_path / "busy.lock")
    engine = EngineClient()
    try:
        engine.load(starter, n_ctx=256, threads=1, busy_lock=lock.path)
        assert not lock.held_by_someone()
        held = []

        def on_text(_):
            lock.release()  # the other one that generated when this reply started has ended
            held.append(lock.held_by_someone())

        assert lock.try_acquire()
        ask(engine, max_tokens=40, on_text=on_text)
        assert any(held)  # not all: the last pieces may be heard when the reply has ended
        assert not lock.held_by_someone()
    finally:
        engine.close()


def test_logits_and_topk_agree(engine, tmp_path):
    rows = [engine.render(HELLO), engine.tokenize("Once upon a time")]
    logits, best = tmp_path / "logits.npy", tmp_path / "best.npz"
    total = sum(map(len, rows))
    assert engine.logits(rows, logits) == total
    table = np.load(logits)
    assert table.shape == (total, 49152)
    assert table.dtype == np.float32
    np.testing.assert_allclose(np.exp(table).sum(axis=1), 1, atol=1e-4)

    assert engine.topk(rows, 5, best) == total
    found = np.load(best)
    assert found["offsets"].tolist() == [0, len(rows[0]), total]
    assert found["ids"][:, 0].tolist() == table.argmax(axis=1).tolist()
    picked = np.take_along_axis(table, found["ids"], axis=1)
    np.testing.assert_allclose(found["logp"], picked, atol=0.02)

    # A greedy reply starts with the likeliest token after the prompt.
    after = int(found["ids"][len(rows[0]) - 1, 0])
    assert engine.tokenize(ask(engine, max_tokens=1).text) == [after]

    assert engine.logits(rows, logits, from_position=[len(rows[0]) - 2, 2]) == len(rows[1])
    part = np.load(logits)
    np.testing.assert_allclose(part[:2], table[len(rows[0]) - 2 : len(rows[0])], atol=1e-3)
    np.testing.assert_allclose(part[2:], table[len(rows[0]) + 2 :], atol=1e-3)


@pytest.mark.parametrize("row", [[], [49152], [5] * 2000])
def test_impossible_rows_are_refused(engine, tmp_path, row):
    with pytest.raises(PlumError, match=r"[Rr]ow"):
        engine.logits([row], tmp_path / "x.npy")
    assert not list(tmp_path.glob("*x.npy*"))


def probe(engine, tmp_path):
    engine.logits([engine.tokenize("The quick brown fox")], tmp_path / "probe.npy")
    return np.load(tmp_path / "probe.npy")


def test_adapters_swap_without_a_trace(engine, tmp_path, write_lora):
    """Nothing that was read under one adapter is answered from under another."""
    a, b = write_lora("a.gguf", 1), write_lora("b.gguf", 2)
    base = probe(engine, tmp_path)
    fresh = {}
    for adapter in (a, b, None):
        engine.set_adapter(adapter)
        fresh[adapter] = ask(engine).text, probe(engine, tmp_path)
    assert len({text for text, _ in fresh.values()}) == 3
    for adapter in (a, b, a, None):
        ask(engine)  # fills the cache, with another adapter
        engine.set_adapter(adapter)
        swapped = ask(engine)
        assert swapped.evaluated_tokens == swapped.prompt_tokens
        assert swapped.text == fresh[adapter][0]
        np.testing.assert_array_equal(probe(engine, tmp_path), fresh[adapter][1])
    np.testing.assert_array_equal(fresh[None][1], base)


def test_half_an_adapter_is_between(engine, tmp_path, write_lora):
    base = probe(engine, tmp_path)
    path = write_lora("a.gguf", 1)
    engine.set_adapter(path)
    whole = abs(probe(engine, tmp_path) - base).mean()
    engine.set_adapter(path, scale=0.5)
    half = abs(probe(engine, tmp_path) - base).mean()
    engine.set_adapter(None)
    assert 0.2 * whole < half < 0.8 * whole


def test_foreign_adapters_are_refused_and_the_old_one_serves_on(
    engine, starter, tmp_path, write_lora
):
    engine.set_adapter(write_lora("good.gguf", 1))
    before = probe(engine, tmp_path)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes((tmp_path / "good.gguf").read_bytes()[:-5000])
    for path, words in [
        (write_lora("arch.gguf", 2, architecture="qwen2"), "another model"),
        (write_lora("narrow.gguf", 2, width=512), "another model"),
        (write_lora("deep.gguf", 2, layers=range(29, 33)), "another model"),
        (cut, "damaged"),
        (starter, "not an adapter"),
        (tmp_path / "none.gguf", "no file"),
    ]:
        with pytest.raises(PlumError, match=words):
            engine.set_adapter(path)
        np.testing.assert_array_equal(probe(engine, tmp_path), before)
    engine.set_adapter(None)


def patched(starter: Path, out: Path, old: bytes, new: bytes) -> Path:
    """A copy of the starter with the first `old` in its header replaced."""
    data = bytearray(starter.read_bytes())
    at = data.index(old)
    data[at : at + len(new)] = new
    out.write_bytes(data)
    return out


def test_bad_model_files_are_sentences_and_the_model_before_serves_on(
    engine, starter, tmp_path, write_lora
):
    before = ask(engine).text
    size = starter.stat().st_size
    with starter.open("rb") as stream:
        head = stream.read(size // 2)
    (tmp_path / "half.gguf").write_bytes(head)
    (tmp_path / "stub.gguf").write_bytes(head[:5000])
    (tmp_path / "text.gguf").write_text("This is no model.")
    (tmp_path / "empty.gguf").touch()
    context = b"llama.context_length" + (4).to_bytes(4, "little")
    for path, kind, words in [
        (tmp_path / "half.gguf", DamagedFile, "incomplete"),
        (tmp_path / "stub.gguf", DamagedFile, "incomplete"),
        (tmp_path / "text.gguf", DamagedFile, "not a GGUF file"),
        (tmp_path / "empty.gguf", DamagedFile, "not a GGUF file"),
        (tmp_path / "none.gguf", PlumError, "no file"),
        (tmp_path, PlumError, "cannot be read"),
        (write_lora("lora.gguf", 1), PlumError, "not a model"),
        (patched(starter, tmp_path / "arch.gguf", b"llama", b"lxama"), PlumError, "lxama"),
        (
            patched(starter, tmp_path / "huge.gguf", context, context + b"\xff\xff\xff\x7f"),
            PlumError,
            "enough memory",
        ),
        (
            patched(starter, tmp_path / "wrong.gguf", b"blk.7.attn_q", b"blk.7.attn_x"),
            DamagedFile,
            "blk.7.attn_q",
        ),
    ]:
        with pytest.raises(PlumError, match=words) as caught:
            engine.load(path, threads=1)
        assert type(caught.value) is kind, path
        assert str(caught.value).count("\n") == 0
    assert ask(engine).text == before


def test_killed_engine_fails_one_call_and_comes_back(starter, tmp_path, write_lora):
    engine = EngineClient()
    try:
        engine.load(starter, n_ctx=512, threads=1)
        engine.set_adapter(write_lora("a.gguf", 1))
        before = probe(engine, tmp_path)
        first = engine.pid
        with pytest.raises(WorkerCrashed, match="signal 9"):
            ask(engine, max_tokens=300, on_text=lambda _: os.kill(engine.pid or 0, signal.SIGKILL))
        np.testing.assert_array_equal(probe(engine, tmp_path), before)
        assert engine.pid != first
    finally:
        engine.close()


def test_engine_leaves_with_its_parent(starter):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "from pathlib import Path\n"
            "from plum_desktop.engine.client import EngineClient\n"
            "engine = EngineClient()\n"
            "engine.load(Path(sys.argv[1]), n_ctx=512, threads=1)\n"
            "print(engine.pid, flush=True)\n"
            "engine.chat([{'role': 'user', 'content': 'word ' * 300}], max_tokens=200)\n",
            str(starter),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    _, alive = psutil.wait_procs([child], timeout=5)
    assert not alive


def test_close_ends_what_is_under_way(starter):
    engine = EngineClient()
    engine.load(starter, n_ctx=512, threads=1)
    pid = engine.pid
    closing = threading.Timer(0.3, engine.close)
    closing.start()
    with pytest.raises(Cancelled):
        ask(engine, max_tokens=400)
    with pytest.raises(Cancelled):
        ask(engine)
    closing.join()  # a request ends before the process that answered it has
    assert not psutil.pid_exists(pid)
