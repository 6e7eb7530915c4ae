"""The page of figures: written between its marks, the weakest language first."""

from datetime import date
from pathlib import Path

import pytest

from backend.quality_report import BEGIN, END, put_into, report

FIGURES = {
    "it": {"all": {"cases": 2, "right": 100.0}, "entry": {"cases": 2, "right": 100.0}},
    "uk": {"all": {"cases": 2, "right": 50.0}, "act": {"cases": 2, "right": 50.0}},
    "all": {
        "all": {"cases": 4, "right": 75.0},
        "act": {"cases": 2, "right": 50.0},
        "entry": {"cases": 2, "right": 100.0},
    },
}


def test_the_weakest_language_comes_first_and_what_was_mixed_up_is_counted() -> None:
    lines = report(FIGURES, [("book", "human"), ("book", "human")], day=date(2026, 11, 22), commit="abc").splitlines()
    assert lines[0].startswith("4 messages, 22.11.2026, commit abc")
    assert lines[2] == "| kind | uk | it | all (cases) |"
    assert "| `act`: what the person wants to do | 50 | – | 50 (2) |" in lines
    assert "| `book` | `human` | 2 |" in lines


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "quality.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    put_into(page, "new")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_a_page_without_a_place_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "quality.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="no place"):
        put_into(page, "new")
    assert page.read_text(encoding="utf-8") == "nothing"
