"""`elp audit` names what is known to be broken, and never takes silence for good news."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backend.advisories import ACCEPTED, PYTHON_LOCKS, accepted_advisories, audit, pinned
from backend.config import ROOT

BAD = {"id": "PYSEC-1", "aliases": ["CVE-2020-1"], "fix_versions": ["2.11.3"]}
NO_NPM_FINDINGS = {"vulnerabilities": {}}
NPM_FINDING = {
    "vulnerabilities": {
        "left": {
            "range": "<1.2",
            "via": [{"url": "https://github.com/advisories/GHSA-1"}],
            "fixAvailable": {"name": "left", "version": "1.2.0"},
        },
        "right": {"range": "*", "via": ["left"], "fixAvailable": False},
    }
}


class Registries:
    """Answers as pip-audit and npm do."""

    def __init__(self, *, bad: Sequence[str] = (), npm: Any = NO_NPM_FINDINGS, knows: bool = True) -> None:
        self.bad, self.npm, self.knows = ("jinja2==2.11.2", *bad), npm, knows
        self.asked: list[str] = []

    def __call__(self, command: Sequence[str], folder: Path) -> str:
        if "pip_audit" not in command:
            return self.npm if isinstance(self.npm, str) else json.dumps(self.npm)
        lines = Path(command[command.index("-r") + 1]).read_text().split()
        self.asked += lines
        return json.dumps({"dependencies": [self._one(line) for line in lines], "fixes": []})

    def _one(self, line: str) -> dict[str, Any]:
        name, _, version = line.partition("==")
        if not self.knows:
            return {"name": name, "skip_reason": "not found"}
        return {"name": name, "version": version, "vulns": [BAD] if line in self.bad else []}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for lock in PYTHON_LOCKS:
        (tmp_path / lock).parent.mkdir(exist_ok=True)
        package = '[[package]]\nname = "{}"\nversion = "1.0"\nsource = {{ {} }}\n'
        ours = package.format("elp", 'editable = "."')
        (tmp_path / lock).write_text(package.format("ink", 'registry = "https://pypi.org/simple"') + ours)
    (tmp_path / ACCEPTED).parent.mkdir()
    (tmp_path / ACCEPTED).write_text("accepted = []")
    return tmp_path


def told(root: Path, registries: Registries) -> tuple[int, str]:
    lines: list[str] = []
    return audit(lines.append, root, registries), "\n".join(lines)


def test_nothing_known_is_said_in_one_line(root: Path) -> None:
    registries = Registries()
    assert told(root, registries) == (0, "No known vulnerabilities.")
    assert registries.asked.count("ink==1.0") == 2
    assert "elp==1.0" not in registries.asked


def test_each_finding_is_one_line_with_its_remedy(root: Path) -> None:
    code, text = told(root, Registries(bad=["ink==1.0"], npm=NPM_FINDING))
    assert code == 1
    assert "nlu/uv.lock: ink 1.0: PYSEC-1 (fixed in 2.11.3)" in text
    assert "package-lock.json: left <1.2: https://github.com/advisories/GHSA-1 (fixed in 1.2.0)" in text
    assert text.endswith("3 findings, 0 accepted.")


def test_an_accepted_finding_is_shown_with_its_reason(root: Path) -> None:
    (root / ACCEPTED).write_text('[[accepted]]\nadvisory = "CVE-2020-1"\nreason = "never called"')
    code, text = told(root, Registries(bad=["ink==1.0"]))
    assert code == 0
    assert "accepted: never called" in text


def test_nothing_is_accepted_without_a_reason(root: Path) -> None:
    (root / ACCEPTED).write_text('[[accepted]]\nadvisory = "CVE-2020-1"\nreason = " "')
    with pytest.raises(ValueError, match="CVE-2020-1"):
        told(root, Registries())


def test_an_index_that_knows_no_versions_is_not_good_news(root: Path) -> None:
    registries = Registries(knows=False)
    code, text = told(root, registries)
    assert code == 2
    assert "The audit is not complete" in text
    assert registries.asked == ["jinja2==2.11.2"]  # and it is not asked about everything else


def test_an_index_that_has_no_advisories_is_not_good_news(root: Path) -> None:
    registries = Registries()
    registries.bad = ()
    code, text = told(root, registries)
    assert code == 2
    assert "jinja2==2.11.2" in text


@pytest.mark.parametrize("npm", ["", "npm error", "[]", {"message": "405 Method Not Allowed", "error": {}}])
def test_an_npm_registry_that_cannot_be_asked_is_not_good_news(root: Path, npm: Any) -> None:
    code, text = told(root, Registries(npm=npm))
    assert code == 2
    assert "npm registry" in text


def test_our_own_files_can_be_read() -> None:
    assert all("==" in line for lock in PYTHON_LOCKS for line in pinned(ROOT / lock))
    assert all(accepted_advisories().values())
