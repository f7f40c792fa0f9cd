"""What is secret, what changes from run to run, and the TOML that holds it."""

from __future__ import annotations

import os
import random
import secrets
import tempfile
import tomllib
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_smolvm.harness import toml
from fake_smolvm.harness.cassettes.drawn import Drawn, watched
from fake_smolvm.harness.cassettes.naming import Bindings, Names, check_name
from fake_smolvm.harness.on_path.secrets import masked_argv, masked_text, secret_values

TEXT = st.text(st.characters(codec="utf-8"))


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("machine create -e A=s3cret box", "machine create -e A=*** box"),
        ("machine create -eA=s3cret", "machine create -eA=***"),
        ("machine create -e=A=s3cret", "machine create -e=A=***"),
        ("machine create --env A=s=3 B=c", "machine create --env A=*** B=c"),
        ("machine create --env=A=s3cret", "machine create --env=A=***"),
        ("machine exec -ie A=s3cret", "machine exec -ie A=***"),
        ("machine exec -iteA=s3cret", "machine exec -iteA=***"),
        ("machine run --secret-env A=s3cret", "machine run --secret-env A=***"),
        ("machine exec -e A=b -- env -e C=d", "machine exec -e A=*** -- env -e C=d"),
        ("machine exec -e A -e", "machine exec -e *** -e"),
        ("machine create -e A=", "machine create -e A=***"),
        ("machine ls --json", "machine ls --json"),
    ],
)
def test_values_of_e_are_masked(line: str, masked: str) -> None:
    assert " ".join(masked_argv(line.split())) == masked
    secrets = secret_values(line.split())
    assert "" not in secrets
    assert not any(secret in masked.split() for secret in secrets)


def test_the_longest_secret_is_masked_first() -> None:
    assert masked_text("xabc xab abcd", ["xab", "abcd"]) == "***c *** ***"
    assert masked_text("1 11 box1 (1)", ["1"]) == "*** 11 box1 (***)"


@settings(deadline=None)
@given(st.text(alphabet='a\n\t"\\\r\x00\x1b\x7fé\U0001f600', max_size=30) | TEXT)
def test_any_string_survives_toml(text: str) -> None:
    assert tomllib.loads(f"text = {toml.string(text)}\n") == {"text": text}


@settings(deadline=None)
@given(st.lists(st.text("ab\n\"'\\ ", max_size=40), max_size=6), st.booleans(), st.integers())
def test_any_value_survives_toml(words: list[str], flag: bool, number: int) -> None:
    table = {"words": words, "flag": flag, "number": number % 2**60, "env": {"A": "b"}}
    assert tomllib.loads(toml.table("x", table)) == {"x": [table]}


def test_lone_surrogates_are_no_toml() -> None:
    with pytest.raises(UnicodeEncodeError):
        toml.string("\udc80")


NAMEY = st.lists(
    st.sampled_from(["/home/me", "<HOME>", "<\\HOME>", "<PID:1>", "12345", "s3cret", "1", " ", "x"])
).map("".join)


@settings(deadline=None)
@given(NAMEY, NAMEY)
def test_names_are_put_in_and_taken_out_again(said: str, more: str) -> None:
    names = Names({"/home/me": "HOME"}, "/tmp")  # noqa: S108
    names.learn_argv(["machine", "create", "-e", "A=s3cret"])
    names.learn_output("running (PID: 12345)")
    named = names.name(said + more)
    assert "/home/me" not in named
    assert "s3cret" not in named
    known = Bindings({"HOME": "/home/me", "SECRET:1": "s3cret", "PID:1": "12345"})
    assert known.fill(named) == said + more


def test_same_value_same_name() -> None:
    names = Names({}, "/tmp")  # noqa: S108
    for text in ("(PID: 17)", '"pid": 18', "(PID: 17)"):
        names.learn_output(text)
    assert names.name("kill 17; kill 18; 171 x17x") == "kill <PID:1>; kill <PID:2>; 171 x<PID:1>x"


def test_short_secret_is_named_only_where_it_stands_alone() -> None:
    names = Names({}, "/tmp")  # noqa: S108
    names.learn_argv(["machine", "exec", "-e", "DEBUG=1"])
    assert names.name("DEBUG=1\n128 1") == "DEBUG=<SECRET:1>\n128 <SECRET:1>"


@pytest.mark.parametrize(
    ("recorded", "argv", "bound"),
    [
        (["cp", "<HOME>/a"], ["cp", "/h/a"], {}),
        (["cp", "<HOME>/a"], ["cp", "/other/a"], None),
        (["-e", "A=<SECRET:1>"], ["-e", "A=anything"], {"SECRET:1": "anything"}),
        (["<SECRET:1>", "<SECRET:1>"], ["a", "b"], None),
        (["<TEMP:1>/x", "<TEMP:1>"], ["/t/q/x", "/t/q"], {"TEMP:1": "/t/q"}),
        (["<\\HOME>"], ["<HOME>"], {}),
        (["kill", "<PID:2>"], ["kill", "4194306"], {}),
        (["a"], ["a", "b"], None),
        (["a.b"], ["axb"], None),
    ],
)
def test_recorded_argv_meets_one_of_this_run(
    recorded: list[str], argv: list[str], bound: dict[str, str] | None
) -> None:
    assert Bindings({"HOME": "/h"}).match(recorded, argv) == bound


def test_bound_secret_must_stay_the_same() -> None:
    assert Bindings({"SECRET:1": "a"}).match(["<SECRET:1>"], ["b"]) is None


@pytest.mark.parametrize(
    ("project", "text", "named"),
    [
        ("/a/proj", "-v/a/proj:/a/proj", "-v<PROJECT>:<PROJECT>"),
        ("/a/p", "/a/p/x /a/pp /a/p-2 /a/p.old", "<PROJECT>/x /a/pp /a/p-2 /a/p.old"),
        ("/a/proj", "in /a/proj.", "in <PROJECT>."),
        ("/work", "/work:/work", "<PROJECT>:/work"),
        ("/", "/x/y", "/x/y"),
    ],
)  # fmt: skip
def test_project_is_named_where_its_path_ends(project: str, text: str, named: str) -> None:
    assert Names({project: "PROJECT"}, "/tmp").name(text) == named  # noqa: S108


def test_only_what_was_drawn_is_random() -> None:
    drawn = Drawn()
    made = bytes.fromhex("1a2b3c4d5e6f708192a3b4c5d6e7f809")
    drawn.add_bytes(made)
    drawn.add_name("k3_x9abc")
    names = Names({}, "/tmp", drawn)  # noqa: S108
    names.learn("job-1a2b3c4d 1A2B3C4D5E 1a2b3c4x deadbeef /tmp/b-k3_x9abc.txt x/k3_x9abcd")
    text = "job-1a2b3c4d 1A2B3C4D5E 1a2b3c4x deadbeef /tmp/b-k3_x9abc.txt x/k3_x9abcd"
    assert names.name(text) == (
        "job-<HEX8:1> <HEX10:1> 1a2b3c4x deadbeef <TMP>/b-<RANDOM:1>.txt x/<RANDOM:1>d"
    )


def test_draws_are_seen_while_somebody_watches_and_no_longer() -> None:
    before = (os.urandom, random._urandom)  # noqa: SLF001
    with watched() as drawn, watched():
        made = str(uuid.uuid4())
        token = secrets.token_urlsafe(16)
        name = tempfile.mktemp(prefix="x-")  # noqa: S306
    found = [kind for kind, _ in drawn.find(f"{made} {token} {name}")]
    assert found == ["UUID", "TOKEN22", "RANDOM"]
    assert (os.urandom, random._urandom) == before  # noqa: SLF001


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("run", "x", "'run' is no name: take capitals, digits and _, as in RUN"),
        (3, "x", "3 is no name"),
        ("HOME", "x", "<HOME> has a meaning of its own"),
        ("SECRET", "x", "<SECRET> has a meaning of its own"),
        ("RUN", "", "the value of RUN is to be a text, and not an empty one"),
        ("RUN", 5, "the value of RUN is to be a text"),
        ("TAKEN", "x", "TAKEN stands for another value in this test already"),
    ],
)
def test_what_is_no_name_for_a_value(name: Any, value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=f"^name_value: {why}"):
        check_name(name, value, {"TAKEN": "y"})


@settings(deadline=None)
@given(st.lists(st.sampled_from(["s3", "cr", "et", "s3cret", "<HO", "ME>", " "]), max_size=8))
def test_no_value_is_cut_in_two(pieces: list[str]) -> None:
    names = Names({}, "/tmp")  # noqa: S108
    names.learn_argv(["machine", "create", "-e", "A=s3cret"])
    cut = names.cut_anew(pieces)
    assert "".join(cut) == "".join(pieces)
    named = "".join(map(names.name, cut))
    assert named == names.name("".join(pieces))
    assert "s3cret" not in named
