"""What a writer read and wrote: as it counts, or by length where it does not."""

import pytest

from assistants.models import Assistant
from assistants.writing import upstream
from assistants.writing.upstream import Writing
from assistants.writing.writers import Writer, WriterSettings

WRITER = Writer(WriterSettings(model="w", url="https://x.test"), Assistant())
TEXT = "Hand hammocks to the harbour master."  # 36 bytes.
READ = [{"role": "user", "content": "a" * 398 + "é"}]  # 400 bytes.


def written(monkeypatch, *chunks, in_pieces=False):
    monkeypatch.setattr(upstream, "_ask_upstream", lambda *_: iter(chunks))
    writing = Writing(WRITER, READ, 8.0, in_pieces=in_pieces)
    list(writing.pieces())
    return writing.tokens, writing.tokens_written


WHOLE = b'{"choices": [{"message": {"content": "%s"}}]%s}'
PIECE = b'data: {"choices": [{"delta": {"content": "%s"}}]}\n'


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (b', "usage": {"prompt_tokens": 90, "completion_tokens": 8, "total_tokens": 98}', (98, 8)),
        (b', "usage": {"total_tokens": 98}', (98, 9)),
        (b', "usage": {"total_tokens": 5}', (5, 5)),
        (b"", (109, 9)),
    ],
)
def test_tokens_of_a_whole_answer(monkeypatch, usage, expected):
    assert written(monkeypatch, WHOLE % (TEXT.encode(), usage)) == expected


def test_tokens_of_a_stream_that_tells_them_or_breaks_off(monkeypatch):
    pieces = [PIECE % part.encode() for part in (TEXT[:20], TEXT[20:])]
    told = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}\n'
    done = b"data: [DONE]\n"
    assert written(monkeypatch, *pieces, told, done, in_pieces=True) == (10, 3)
    assert written(monkeypatch, *pieces, in_pieces=True) == (109, 9)


def test_an_answer_without_a_word_costs_what_it_read(monkeypatch):
    empty = WHOLE % (b"", b', "usage": {"prompt_tokens": 90, "completion_tokens": 0}')
    assert written(monkeypatch, empty) == (90, 0)
