"""What takes seconds to make is made once."""

import threading
from pathlib import Path

from knowledge_base.kept import kept


def test_it_is_made_once_and_read_afterwards(tmp_path: Path) -> None:
    made = []

    def make() -> list[int]:
        made.append(1)
        return [1, 2]

    assert kept(tmp_path, "thing", "a", list, make) == [1, 2]
    assert kept(tmp_path, "thing", "a", list, make) == [1, 2]
    assert len(made) == 1


def test_of_several_at_once_one_makes_it(tmp_path: Path) -> None:
    made = []

    def make() -> list[int]:
        made.append(1)
        return [1]

    threads = [threading.Thread(target=kept, args=(tmp_path, "thing", "a", list, make)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_torn_file_is_made_again(tmp_path: Path) -> None:
    kept(tmp_path, "thing", "a", list, lambda: [1])
    (file,) = tmp_path.glob("*.pickle")
    file.write_bytes(b"torn")
    assert kept(tmp_path, "thing", "a", list, lambda: [2]) == [2]


def test_only_the_last_two_of_a_name_stay(tmp_path: Path) -> None:
    for fingerprint in "abc":
        kept(tmp_path, "thing", fingerprint, list, lambda: [1])
    kept(tmp_path, "other", "a", list, lambda: [1])
    assert len(list(tmp_path.glob("thing-*.pickle"))) == 2
    assert len(list(tmp_path.glob("other-*.pickle"))) == 1


def test_without_a_folder_to_write_to_it_is_made_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert kept(tmp_path / "file" / "folder", "thing", "a", list, lambda: [1]) == [1]
