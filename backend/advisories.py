"""`elp audit`: are there published advisories for any version in our lock files?

pip-audit asks the Python index, npm asks its registry. A registry that cannot answer is never taken for good news: the
Python index is first asked about an old version whose advisories everybody knows.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.config import ROOT
from backend.install import npm

PYTHON_LOCKS = ("uv.lock", "nlu/uv.lock")
NPM_LOCK = "package-lock.json"
ACCEPTED = "docs/accepted-advisories.toml"
KNOWN_TO_BE_BAD = "jinja2==2.11.2"
"""CVE-2020-28493 and others."""
_LIMIT_S = 600

Run = Callable[[Sequence[str], Path], str]
"""A command and the folder it runs in; its standard output, whatever its exit status."""


class RegistryError(Exception):
    """A registry could not be asked; a sentence for whoever started the audit."""


@dataclass(frozen=True, slots=True)
class Finding:
    lock: str
    package: str
    version: str
    advisory: str
    names: tuple[str, ...] = ()
    """Other ids of the same advisory."""
    fixed_in: str = ""

    def __str__(self) -> str:
        fix = f"fixed in {self.fixed_in}" if self.fixed_in else "no fixed version"
        return f"{self.lock}: {self.package} {self.version}: {self.advisory} ({fix})"


def run_command(command: Sequence[str], folder: Path) -> str:
    """Raises RegistryError when it cannot be started or does not end."""
    environment = os.environ | {"NODE_USE_SYSTEM_CA": "1", "npm_config_update_notifier": "false"}
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"{Path(command[0]).name} did not run to its end: {error}") from error


def pinned(lock: Path) -> list[str]:
    """`name==version` of everything in a lock file of uv that comes from an index."""
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    return sorted({f"{one['name']}=={one['version']}" for one in packages if "registry" in one["source"]})


def python_findings(lock: str, requirements: Sequence[str], run: Run = run_command) -> list[Finding]:
    """Raises RegistryError when the index does not know every one of them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "-r", str(file), "--no-deps", "--disable-pip"]
        answer = _json(
            run([*command, "--format", "json", "--progress-spinner", "off"], Path(folder)), "The Python index"
        )
    skipped = [one["name"] for one in answer["dependencies"] if "skip_reason" in one]
    if skipped:
        raise RegistryError(
            f"The Python index says nothing about {len(skipped)} of {len(requirements)} versions in {lock}, "
            f"such as {skipped[0]}: it is a mirror without advisories, or the network is away."
        )
    return [
        Finding(
            lock, one["name"], one["version"], found["id"], tuple(found["aliases"]), ", ".join(found["fix_versions"])
        )
        for one in answer["dependencies"]
        for found in one["vulns"]
    ]


def check_index(run: Run = run_command) -> None:
    """Raises RegistryError unless the index knows what is known of an old version."""
    if not python_findings("a version known to be bad", [KNOWN_TO_BE_BAD], run):
        raise RegistryError(f"The Python index knows of no advisory for {KNOWN_TO_BE_BAD}: it has none to tell.")


def npm_findings(folder: Path, run: Run = run_command) -> list[Finding]:
    """Raises RegistryError."""
    answer = _json(run([*npm(), "audit", "--package-lock-only", "--json"], folder), "The npm registry")
    if "vulnerabilities" not in answer:
        raise RegistryError(f"The npm registry could not be asked: {answer.get('message', 'no answer')}")
    return [
        Finding(NPM_LOCK, name, str(one["range"]), str(via["url"]), fixed_in=_npm_fix(one["fixAvailable"]))
        for name, one in sorted(answer["vulnerabilities"].items())
        for via in one["via"]
        if isinstance(via, dict)
    ]


def _npm_fix(available: Any) -> str:
    return str(available["version"]) if isinstance(available, dict) else "a newer version" if available else ""


def _json(text: str, who: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise RegistryError(f"{who} could not be asked: it gave no answer that can be read.") from error
    if not isinstance(answer, dict):
        raise RegistryError(f"{who} gave an answer of an unknown form.")
    return answer


def accepted_advisories(root: Path = ROOT) -> dict[str, str]:
    """Id of an advisory → why it does not concern us. Raises ValueError for one without a reason."""
    listed = tomllib.loads((root / ACCEPTED).read_text(encoding="utf-8")).get("accepted", [])
    for one in listed:
        if not str(one.get("reason", "")).strip():
            raise ValueError(f"{ACCEPTED}: {one.get('advisory')} has no reason")
    return {one["advisory"]: one["reason"] for one in listed}


def findings(root: Path = ROOT, run: Run = run_command) -> Iterator[Finding | RegistryError]:
    """All there are, and what could not be asked."""
    try:
        check_index(run)
        for lock in PYTHON_LOCKS:
            yield from python_findings(lock, pinned(root / lock), run)
    except RegistryError as error:
        yield error
    try:
        yield from npm_findings(root, run)
    except RegistryError as error:
        yield error


def audit(say: Callable[[str], None], root: Path = ROOT, run: Run = run_command) -> int:
    """One line for each finding. 0: nothing new; 1: findings; 2: not everything could be asked."""
    accepted, found, unasked, set_aside = accepted_advisories(root), 0, 0, 0
    for one in findings(root, run):
        say(str(one))
        if isinstance(one, RegistryError):
            unasked += 1
        elif reason := next((accepted[name] for name in (one.advisory, *one.names) if name in accepted), None):
            set_aside += 1
            say(f"  accepted: {reason}")
        else:
            found += 1
    if unasked:
        say(f"The audit is not complete. {found} findings so far.")
    else:
        say(f"{found} findings, {set_aside} accepted." if found or set_aside else "No known vulnerabilities.")
    return 1 if found else 2 if unasked else 0
