from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_smolvm.errors import CommandError
from fake_smolvm.machines.paths import Paths
from fake_smolvm.machines.record import Record
from fake_smolvm.machines.store import MachineExistsError, Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths({"HOME": str(tmp_path)})


def record(name: str, cpus: int = 4) -> Record:
    made = Record(name, 1_700_000_000)
    made.cpus = cpus
    return made


def test_what_is_stored_is_there_for_the_next_one(paths: Paths) -> None:
    made = record("m1", 2)
    made.env = [("K", 'a "b"\n\té\udcff')]
    made.mounts = [("/h", "/g", True)]
    Store(paths).add(made)
    found = Store(paths).get("m1")
    assert found is not None
    assert found.to_row() == made.to_row() | {
        "env": [["K", 'a "b"\n\té\udcff']],
        "mounts": [["/h", "/g", True]],
    }
    assert (found.state, found.cpus, found.mem) == ("created", 2, 8192)


def test_the_order_is_that_of_creation(paths: Paths) -> None:
    store = Store(paths)
    for name in ("b", "a", "c"):
        store.add(record(name))
    store.update("b", lambda found: setattr(found, "cpus", 1))
    store.remove("a")
    store.add(record("a"))
    assert [found.name for found in store.all()] == ["b", "c", "a"]


def test_a_name_is_taken_until_it_is_removed(paths: Paths) -> None:
    store = Store(paths)
    store.add(record("m1"))
    with pytest.raises(MachineExistsError):
        store.add(record("m1"))
    assert store.remove("m1") is not None
    assert store.remove("m1") is None
    assert store.update("m1", lambda found: setattr(found, "cpus", 1)) is None
    store.add(record("m1", 3))


@pytest.mark.parametrize("garbage", [b"garbage-garbage-garbage-garbage", b"\0" * 4096, b"x"])
def test_a_file_that_is_no_store_is_refused_and_left_alone(paths: Paths, garbage: bytes) -> None:
    Store(paths).add(record("m1"))
    with open(paths.store, "wb") as file:
        file.write(garbage)
    for attempt in (
        lambda: Store(paths).all(),
        lambda: Store(paths).get("m1"),
        lambda: Store(paths).add(record("m2")),
        lambda: Store(paths).remove("m1"),
    ):
        with pytest.raises(CommandError, match="configure pragmas: file is not a database"):
            attempt()
    with open(paths.store, "rb") as file:
        assert file.read() == garbage


@pytest.mark.parametrize("written", range(0, 120, 7))
def test_what_a_killed_writer_left_is_never_read(paths: Paths, written: int) -> None:
    store = Store(paths)
    store.add(record("m1"))
    with open(paths.store, "rb") as file:
        before = file.read()
    store.add(record("m2"))
    with open(paths.store, "rb") as file:
        after = file.read()
    cut = after[: max(len(before), len(after) - 1 - written)]
    with open(paths.store, "wb") as file:
        file.write(cut)
    assert [found.name for found in store.all()] == ["m1"]
    store.add(record("m3"))
    assert [found.name for found in store.all()] == ["m1", "m3"]


@pytest.mark.parametrize("written", range(0, 27, 5))
def test_a_store_whose_first_writer_was_killed_is_empty(paths: Paths, written: int) -> None:
    Store(paths).add(record("m1"))
    with open(paths.store, "rb+") as file:
        file.truncate(written)
    assert Store(paths).all() == []
    Store(paths).add(record("m2"))
    assert [found.name for found in Store(paths).all()] == ["m2"]


def test_the_journal_does_not_grow_for_ever(paths: Paths) -> None:
    store = Store(paths)
    for number in range(20):
        store.add(record(f"m{number}"))
    for number in range(5000):
        store.update("m7", lambda found, number=number: setattr(found, "mem", number))
    assert [found.name for found in store.all()] == [f"m{number}" for number in range(20)]
    assert store.get("m7").mem == 4999  # type: ignore[union-attr]
    with open(paths.store, "rb") as file:
        assert len(file.read()) < 200_000
