"""The paths of all records, each read once."""

from pathlib import Path

import pytest

from regrow.records import index
from regrow.records.store import Store, file_name
from regrow.system import directories
from tests.records.making import a_record


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the records that are read from now on."""
    names: list[str] = []
    path_in = index._path_in

    def counted(store: Store, name: str) -> str | None:
        names.append(name)
        return path_in(store, name)

    monkeypatch.setattr(index, "_path_in", counted)
    return names


def test_each_record_is_read_once_for_its_path(reads: list[str]) -> None:
    paths = ["/home/ada/one/.venv", "/home/ada/two/\udcff", "/home/ada/three/a\nb", '/a"\nb']
    expected = {file_name(path): path for path in paths}
    with Store() as store:
        for path in paths:
            store.write(a_record(path)).close()
        assert store.paths() == expected
        assert sorted(reads) == sorted(expected)
        assert store.paths() == expected
        assert len(reads) == 4
        store.write(a_record("/home/ada/four")).close()
        store.remove(paths[0])
        assert set(store.paths().values()) == {*paths[1:], "/home/ada/four"}
        assert reads[4:] == [file_name("/home/ada/four")]


def test_a_record_that_cannot_be_read_has_no_path_until_it_can(reads: list[str]) -> None:
    with Store() as store:
        store.write(a_record("/home/ada/.venv")).close()
        file = Path(store.path) / file_name("/home/ada/.venv")
        good = file.read_bytes()
        file.write_text("damaged")
        assert store.paths() == {}
        file.write_bytes(good)
        assert set(store.paths().values()) == {"/home/ada/.venv"}


def test_without_their_cache_the_paths_are_read_again(reads: list[str]) -> None:
    with Store() as store:
        store.write(a_record("/home/ada/.venv")).close()
        expected = store.paths()
        for file in Path(directories.caches()).glob("records-*"):
            file.write_bytes(file.read_bytes()[:-1])
        assert store.paths() == expected
        assert len(reads) == 2
