"""The writer of the log keeps the order, holds nobody up, and tells what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import StringIO
from threading import Event, Thread

import pytest

from scalemgr.logs import writer
from scalemgr.logs.writer import Descriptor, Writer

LINE = "x" * 1000 + "\n"


def leftOut(count: int) -> str:
    """How it is said that lines are missing."""
    return f"{count} missing\n"


class Stream:
    """Remembers; and fails, or is stuck, when told to."""

    def __init__(self) -> None:
        self.text = ""
        self.failing = False
        self.open = Event()
        self.open.set()
        self.reached = Event()

    def write(self, text: str, /) -> None:
        self.reached.set()
        self.open.wait(30)
        if self.failing:
            raise OSError("disk full")
        self.text += text

    def flush(self) -> None:
        """Nothing is held back."""


@pytest.fixture
def stream() -> Iterator[Stream]:
    made = Stream()
    yield made
    # Whatever became of the test, its thread can end.
    made.open.set()


def test_atOnce(stream: Stream) -> None:
    """Before there is a thread, and when there is none any more, a line is written when it comes."""
    to = Writer(stream, leftOut)
    to.write("a\n")
    assert stream.text == "a\n"
    to.start()
    to.write("b\n")
    to.stop()
    assert stream.text == "a\nb\n"
    to.write("c\n")
    assert stream.text == "a\nb\nc\n"
    to.stop()


def test_order(stream: Stream) -> None:
    """Of what many threads write, nothing is lost, and the lines of each stay in their order."""
    to = Writer(stream, leftOut)
    to.start()

    def some(name: str) -> None:
        for n in range(500):
            to.write(f"{name} {n}\n")

    threads = [Thread(target=some, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    to.stop()
    lines = stream.text.splitlines()
    assert len(lines) == 2000
    for name in "abcd":
        assert [line for line in lines if line[0] == name] == [f"{name} {n}" for n in range(500)]


def test_nobodyReads(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the stream is stuck, who logs is not; what there is no room for is left out, counted, and told afterwards."""
    monkeypatch.setattr(writer, "PILE_CHARACTERS_MAX", 10 * len(LINE))
    to = Writer(stream, leftOut)
    stream.open.clear()
    to.start()
    to.write("first\n")
    assert stream.reached.wait(30)
    for _ in range(17):
        to.write(LINE)
    stream.open.set()
    to.stop()
    to.write("last\n")
    assert stream.text == "first\n" + 10 * LINE + "7 missing\n" + "last\n"


def test_stuckAtTheEnd(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is stuck does not keep the daemon from ending, nor what it says afterwards."""
    monkeypatch.setattr(writer, "PATIENCE_S", 0.01)
    to = Writer(stream, leftOut)
    stream.open.clear()
    to.start()
    to.write("a\n")
    assert stream.reached.wait(30)
    to.stop()
    to.write("b\n")
    assert stream.text == ""


@pytest.mark.parametrize("threaded", [False, True])
def test_failing(stream: Stream, threaded: bool) -> None:
    """A disk that is full hurts nobody, and when it is not any more, it is told how much is missing in all."""
    to = Writer(stream, leftOut)
    stream.failing = True
    to.write("a\n")
    to.write("b\n")
    if threaded:
        to.start()
        to.write("c\n")
        to.stop()
    stream.failing = False
    to.write("d\n")
    to.write("e\n")
    assert stream.text == f"d\n{2 + threaded} missing\ne\n"


def test_pipe() -> None:
    """A pipe that nobody reads is what this is for: a megabyte later all is there, in order."""
    reader, end = os.pipe()
    with open(reader, encoding="ascii") as ours, open(end, "w", encoding="ascii") as its:
        to = Writer(Descriptor(its), leftOut)
        to.start()
        for n in range(10_000):
            to.write(f"{n:0100}\n")
        read = [ours.readline() for _ in range(10_000)]
        to.stop()
    assert read == [f"{n:0100}\n" for n in range(10_000)]


def test_encoding() -> None:
    """A terminal that does not know a letter is shown its number."""
    reader, end = os.pipe()
    with open(reader, "rb") as ours, open(end, "w", encoding="latin-1") as its:
        Descriptor(its).write("Zoë 漢\n")
        assert ours.read1() == "Zoë \\u6f22\n".encode("latin-1")


def test_wholeLines() -> None:
    """Where there is no room for all of it, a text is not written at all, or goes on where it was cut off."""
    reader, end = os.pipe()
    with open(reader, "rb") as ours, open(end, "w", encoding="ascii") as its:
        os.set_blocking(end, False)
        os.set_blocking(reader, False)
        to = Descriptor(its)
        first = "".join(f"{n:09}\n" for n in range(10_000))
        to.write(first)
        with pytest.raises(BlockingIOError):
            to.write("lost\n")
        heard = ours.read()
        assert 0 < len(heard) < len(first)
        to.flush()
        heard += ours.read()
        to.write("next\n")
        assert (heard + ours.read()).decode() == first + "next\n"


def test_whatWasPrintedBeforeComesFirst() -> None:
    """Past the stream, but not before what it still holds."""
    reader, end = os.pipe()
    with open(reader, "rb") as ours, open(end, "w", encoding="ascii") as its:
        its.write("before\n")
        Descriptor(its).write("after\n")
        assert ours.read1() == b"before\nafter\n"


def test_anyStream() -> None:
    """What is like a file will do."""
    stream = StringIO()
    Writer(stream, leftOut).write("a\n")
    assert stream.getvalue() == "a\n"
