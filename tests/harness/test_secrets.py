"""What of a command line is secret, and how it is compared without being kept."""

from __future__ import annotations

import copy
import pickle
import re
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_smolvm import grammars
from fake_smolvm.harness.on_path import secrets
from fake_smolvm.harness.on_path.secrets import (
    digest,
    marked,
    masked_argv,
    masked_head,
    masked_text,
    pattern_of,
    scrambled,
    secret_values,
    unscrambled,
)
from fake_smolvm.harness.seen.masked import differing, restored

KEY = "key"


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("smolvm machine create box -e s3cret", "smolvm machine create box -e ***"),
        ("smolvm machine create box -es3cret", "smolvm machine create box -e***"),
        ("smolvm machine create box -e=s3cret", "smolvm machine create box -e=***"),
        ("smolvm machine create --env=s3cret b", "smolvm machine create --env=*** b"),
        ("smolvm machine create --env s3cret b", "smolvm machine create --env *** b"),
        ("smolvm machine exec -ite A=s3cret true", "smolvm machine exec -ite A=*** true"),
        ("smolvm machine exec -its3cret", "smolvm machine exec -its3cret"),
        ("smolvm machine exec -w /home -e A=b true", "smolvm machine exec -w /home -e A=*** true"),
        ("smolvm machine exec -w/home --name b x", "smolvm machine exec -w/home --name b x"),
        ("smolvm machine exec --name m -- grep -e x", "smolvm machine exec --name m -- grep -e x"),
        ("smolvm machine exec --name m grep -e x f", "smolvm machine exec --name m grep -e x f"),
        ("smolvm machine exec --name m env -e A=b", "smolvm machine exec --name m env -e A=***"),
        ("smolvm machine run --tty -e s3cret ls", "smolvm machine run --tty -e *** ls"),
        ("smolvm pack run -v a:b -e s3cret ls", "smolvm pack run -v a:b -e *** ls"),
        ("smolvm pack create --image a -e A=b", "smolvm pack create --image a -e A=***"),
        ("smolvm machine update box -e A=b", "smolvm machine update box -e A=***"),
        ("smolvm machine update box --remove-env A", "smolvm machine update box --remove-env A"),
        ("smolvm --typo -e A=b machine ls", "smolvm --typo -e A=*** machine ls"),
        ("smolvm machine exec -e --name box", "smolvm machine exec -e --name box"),
        ("smolvm machine exec -e -----KEY", "smolvm machine exec -e ***"),
    ],
)
def test_every_way_to_give_a_secret(line: str, masked: str) -> None:
    assert " ".join(masked_argv(line.split())) == masked


def test_knows_the_options_of_every_grammar() -> None:
    letters, flags = set(), set()
    for version in grammars.known_versions():
        for name in ("create", "run", "exec", "update"):
            for arg in grammars.load(version).command(("machine", name)).args:
                shorts = {arg.short, *arg.visible_short_aliases} - {None}
                letters |= shorts if arg.takes_value else set()
                if not arg.takes_value and name in ("run", "exec") and not arg.is_global:
                    flags.add(arg.long)
    assert letters - {"e"} == set(secrets._SHORT_WITH_VALUE)  # noqa: SLF001
    assert flags - {"help"} == set(secrets._LONG_FLAGS)  # noqa: SLF001


def word_of(word: str) -> str:
    argv = ["machine", "create", "-e", word]
    return restored(masked_argv(argv), marked(argv, KEY), KEY)[-1]


@pytest.mark.parametrize("value", ["hunter22", "", "a=b", "***", "é\udcff", "x" * 10000])
def test_masked_word_equals_the_one_it_was_made_of_and_no_other(value: str) -> None:
    word = word_of(f"TOKEN={value}")
    assert str(word) == repr(word)[1:-1] == "TOKEN=***"
    assert hash(word) == hash(f"TOKEN={value}")
    assert word == f"TOKEN={value}"
    assert f"TOKEN={value}" == word
    assert word in ["x", f"TOKEN={value}"]
    assert [f"TOKEN={value}", "x"].index(word) == 0
    assert word == word_of(f"TOKEN={value}")
    assert word == mock.ANY
    for other in ("TOKEN=", "TOKEN=wrong", f"OTHER={value}", f"TOKEN={value}.", "", 5):
        assert (word == other) is (other == f"TOKEN={value}")
        assert (word != other) is (other != f"TOKEN={value}")
    assert (word == "TOKEN=***") is (value == "***")


def test_masked_word_answers_by_what_it_was() -> None:
    word = word_of("TOKEN=hunter=22")
    assert "hunter" in word
    assert "***" not in word
    assert word.startswith("TOKEN=hunter")
    assert not word.endswith("***")
    assert {word: 1}["TOKEN=hunter=22"] == 1
    assert {"TOKEN=hunter=22", word} == {word}
    assert word.partition("=") == ("TOKEN", "=", "hunter=22")
    assert word.partition(":") == ("TOKEN=hunter=22", "", "")
    assert word.split("=") == ["TOKEN", "hunter", "22"]
    assert word.split("=", 1)[1] != "wrong"
    assert word.removeprefix("TOKEN=") == word[len("TOKEN=") :] == word[-9:] == "hunter=22"
    assert copy.deepcopy(word) == word


def test_nothing_cut_off_a_masked_word_shows_the_secret() -> None:
    word = word_of("TOKEN=hunter=22")
    cut = [*word.partition("="), *word.split("="), word[2:], word[:9], word[8:10], *word]
    shown = [f"{word}", word + "!", repr(word), *map(str, cut), pickle.dumps(word)]
    assert not [text for text in map(str, shown) if "hun" in text or "22" in text]
    assert (str(word[:6]), str(word[:9])) == ("TOKEN=", "TOKEN=***")


def test_scrambled_text_is_found_by_no_search() -> None:
    for text in ("hunter22", "é\udcff", "", "x" * 1000):
        hidden = scrambled(text, KEY)
        assert unscrambled(hidden, KEY) == text
        assert not text or text not in hidden


def test_a_digest_needs_the_key() -> None:
    assert digest("1", "a") == digest("1", "a")
    assert len({digest("1", "a"), digest("1", "b"), digest("a1", ""), digest("2", "a")}) == 4
    assert len(digest("é\udcff", "key")) == 8


def test_says_which_value_differs() -> None:
    words = [word_of("A=1"), word_of("B=2"), "box"]
    assert differing(words, ["A=1", "B=3", "bax"]) == ["B=***"]


@settings(deadline=None)
@given(st.text("ab1 *\n", max_size=30), st.lists(st.text("ab1*\n", min_size=1, max_size=9)))
def test_text_is_masked_as_the_pattern_says(text: str, secrets: list[str]) -> None:
    longest_first = sorted(set(secrets), key=len, reverse=True)
    patterns = "|".join(map(pattern_of, longest_first)) or "(?!)"
    assert masked_text(text, secrets) == re.sub(patterns, "***", text)


def test_text_is_masked_in_one_go() -> None:
    assert masked_text("a b ***", ["***", "a"]) == "*** b ***"
    assert masked_text("key: first-line\r\nother-line 1", ["first-line\nother-line\n1"]) == (
        "key: ***\r\n*** 1"
    )


@pytest.mark.parametrize(
    ("said", "more", "shown"),
    [
        (b"12345678", 0, "12345678"),
        (b"123456789", 0, "12345678\n[… 1 more bytes]"),
        (b"1234s3cret", 0, "1234***"),
        (b"1234567s3cret", 0, "1234567*\n[… 2 more bytes]"),
        (b"1234s3c", 90, "1234***\n[… 90 more bytes]"),
        (b"s3crets3crets3c", 90, "********\n[… 91 more bytes]"),
        (b"\xff\xc3", 0, "\ufffd\ufffd"),
        (b"\xffkey\xfe", 0, "***"),
    ],
)
def test_what_was_said_is_masked_before_it_is_cut(said: bytes, more: int, shown: str) -> None:
    assert masked_head(said, 8, ["s3cret", "\udcffkey\udcfe"], more=more) == shown


def test_secret_values_are_those_that_are_masked() -> None:
    assert secret_values(["-e", "A=b", "-e", "c", "-e", "D="]) == ["b", "c"]
