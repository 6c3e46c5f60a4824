from __future__ import annotations

import ctypes

import pytest

from plum_desktop.base.errors import PlumError
from plum_desktop.engine.template import CHATML, ChatTemplate, open_vocab

CHAT = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Où est  l'été ?\n\n\tfor x in y: 🙂"},
    {"role": "assistant", "content": "Là-bas."},
    {"role": "user", "content": "日本語 1234567 <|im_end|>?"},
]


@pytest.fixture(scope="module")
def tokenizer(starter):
    vocab = open_vocab(starter)
    yield vocab
    vocab.close()


def test_ids_are_those_of_transformers(tokenizer, starter, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(starter.parent, gguf_file=starter.name)
    for messages in (CHAT, CHAT[1:], CHAT[1:2]):
        for generation in (True, False):
            expected = theirs.apply_chat_template(
                messages, add_generation_prompt=generation, return_dict=False
            )
            assert tokenizer.render_ids(messages, generation) == expected


def test_text_is_that_of_llama_cpp(tokenizer):
    from llama_cpp import llama_cpp as lib

    turns = (lib.llama_chat_message * len(CHAT))(
        *((turn["role"].encode(), turn["content"].encode()) for turn in CHAT)
    )
    buffer = ctypes.create_string_buffer(4000)
    size = lib.llama_chat_apply_template(b"chatml", turns, len(CHAT), True, buffer, 4000)
    assert tokenizer.render(CHAT) == buffer.raw[:size].decode()


def test_ids_and_text_round_trip(tokenizer):
    text = "Tabs\tand  spaces, naïve 日本 🙂"
    assert tokenizer.text(tokenizer.ids(text)) == text
    assert tokenizer.ids("<|im_end|>", special=True) == [tokenizer.eos]
    assert tokenizer.is_end(tokenizer.eos)
    assert len(tokenizer.ids("<|im_end|>")) > 1
    assert tokenizer.text([tokenizer.eos]) == ""
    assert tokenizer.text([tokenizer.eos], special=True) == "<|im_end|>"
    assert max(tokenizer.ids(text)) < tokenizer.n_vocab


def test_bos_comes_exactly_once(tokenizer):
    bos = "<|im_start|>"
    tokenizer.add_bos = True
    try:
        assert tokenizer.prompt_ids("x")[0] == tokenizer.bos
        assert tokenizer.prompt_ids("x").count(tokenizer.bos) == 1
        assert tokenizer.prompt_ids(f"{bos}x").count(tokenizer.bos) == 1
    finally:
        tokenizer.add_bos = False
    assert tokenizer.bos not in tokenizer.prompt_ids("x")


def test_without_a_template_it_is_chatml():
    template = ChatTemplate(None)
    assert template.fallback
    assert template.render(CHAT[1:2]) == (
        f"<|im_start|>user\n{CHAT[1]['content']}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert not ChatTemplate(CHATML).fallback


NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}"
)


def test_system_text_moves_where_there_is_no_such_role():
    assert (
        ChatTemplate(NO_SYSTEM).render(CHAT[:2]) == f"[user]You are terse.\n\n{CHAT[1]['content']}"
    )
    with pytest.raises(PlumError, match="no system"):
        ChatTemplate(NO_SYSTEM).render(CHAT[:1])


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{% for i in range(10**12) %}x{% endfor %}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    ],
)
def test_a_hostile_template_gets_nowhere(source):
    with pytest.raises(PlumError, match="refused"):
        ChatTemplate(source).render(CHAT)


def test_a_broken_template_is_a_sentence():
    with pytest.raises(PlumError, match="has an error"):
        ChatTemplate("{% for x in %}")


def test_what_transformers_templates_use():
    source = (
        "{%- for m in messages -%}{%- if loop.index > 1 -%}{%- break -%}{%- endif -%}"
        "{% generation %}{{ m | tojson }}{% endgeneration %}{%- endfor -%}{{ bos_token }}"
    )
    rendered = ChatTemplate(source, bos="<s>").render([{"role": "user", "content": "<é>"}])
    assert rendered == '{"role": "user", "content": "<é>"}<s>'
