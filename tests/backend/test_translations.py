import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from backend.config import ROOT
from backend.progress import StartError
from backend.translations import install_file, install_pair
from bot.translation import Translator
from tests.bot.test_translation import WORDS, build_package, zip_package


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    package = build_package(folder, "it", "en", WORDS)
    (package / "stanza").mkdir()
    (package / "stanza" / "it.pt").write_bytes(b"not needed")
    return zip_package(package, folder / "translate-it_en.argosmodel")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "translation"


def write_zip(file: Path, **files: bytes | str) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file


def elp(data: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "backend.cli", "translate", *arguments]
    environment = {**os.environ, "ELP_DATA_DIR": str(data), "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


async def test_install_list_translate(tmp_path: Path, model_file: Path) -> None:
    assert elp(tmp_path, "list") == (
        0,
        "No translation package is installed. Install one with: elp translate install it en\n",
    )
    assert elp(tmp_path, "install", str(model_file)) == (0, "Installed it → en.\n")
    assert elp(tmp_path, "list") == (0, "it → en\n")
    done = await Translator(tmp_path / "translation").translate("ciao domani", "it", "en")
    assert done is not None
    assert done.text == "hello tomorrow"


def test_without_network_one_line_says_what_to_do(tmp_path: Path) -> None:
    code, said = elp(tmp_path, "install", "it", "en")
    assert code == 1
    assert said.count("\n") == 1
    assert "cannot be reached" in said
    assert "elp translate install FILE.argosmodel" in said


def test_what_is_not_needed_is_not_unpacked(folder: Path, model_file: Path) -> None:
    install_file(model_file, folder)
    assert [path.name for path in folder.iterdir()] == ["it_en"]
    assert not (folder / "it_en" / "stanza").exists()


async def test_a_running_assistant_takes_the_new_package(folder: Path, model_file: Path, tmp_path: Path) -> None:
    install_file(model_file, folder)
    translator = Translator(folder)
    await translator.translate("ciao", "it", "en")
    newer = build_package(tmp_path / "newer", "it", "en", {"ciao": "hi"})
    install_file(zip_package(newer, tmp_path / "newer.argosmodel"), folder)
    done = await translator.translate("ciao", "it", "en")
    assert done is not None
    assert done.text == "hi"
    assert os.listdir(folder) == ["it_en"]


# --- hostile and broken files ---

METADATA = json.dumps({"from_code": "it", "to_code": "en"})


def refused(file: Path, folder: Path) -> str:
    """What is said; nothing may be left behind, inside the folder or outside."""
    around = sorted(path for path in folder.parent.parent.rglob("*") if folder not in path.parents)
    with pytest.raises(StartError) as error:
        install_file(file, folder)
    assert list(folder.glob("*")) == []
    left = {path for path in folder.parent.parent.rglob("*") if folder not in path.parents}
    assert left - set(around) <= {folder, folder.parent}
    return str(error.value)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "C:\\evil", "..\\evil"])
def test_a_file_that_wants_out_of_its_folder_is_refused(tmp_path: Path, folder: Path, name: str) -> None:
    file = write_zip(tmp_path / "evil.argosmodel", **{"it_en/metadata.json": METADATA, name: "x"})
    assert refused(file, folder) == "evil.argosmodel is refused: it wants to write outside its own folder."


def test_a_link_in_a_package_is_refused(tmp_path: Path, folder: Path) -> None:
    link = zipfile.ZipInfo("it_en/model")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.argosmodel", "w") as archive:
        archive.writestr(link, "/etc")
    assert "outside its own folder" in refused(tmp_path / "link.argosmodel", folder)


def test_a_package_that_would_fill_the_disk_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.translations._LARGEST", 1000)
    file = write_zip(tmp_path / "bomb.argosmodel", **{"it_en/metadata.json": "0" * 1001})
    assert refused(file, folder) == "bomb.argosmodel is refused: it is larger than any translation package."


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"readme.txt": "x"},
        {"it_en/metadata.json": "{"},
        {"it_en/metadata.json": "[" * 100_000},
        {"it_en/metadata.json": "[]"},
        {"it_en/metadata.json": METADATA},
        {"it_en/metadata.json": METADATA, "it_en/model/model.bin": b"x"},
        {
            "it_en/metadata.json": METADATA.replace("it", "../../x"),
            "it_en/model/model.bin": b"x",
            "it_en/bpe.model": b"x",
        },
        {"a/metadata.json": METADATA, "b/metadata.json": METADATA},
    ],
)
def test_what_is_no_package_is_refused(tmp_path: Path, folder: Path, files: dict[str, bytes | str]) -> None:
    assert "not an Argos" in refused(write_zip(tmp_path / "x.argosmodel", **files), folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing", b"<html>Not found</html>"])
def test_what_is_no_archive_is_refused(tmp_path: Path, folder: Path, content: bytes) -> None:
    file = tmp_path / "x.argosmodel"
    file.write_bytes(content)
    assert "not an Argos" in refused(file, folder)


def test_a_damaged_archive_is_refused(tmp_path: Path, folder: Path, model_file: Path) -> None:
    content = bytearray(model_file.read_bytes())
    content[2000:2100] = bytes(100)
    (tmp_path / "x.argosmodel").write_bytes(content)
    assert "not an Argos" in refused(tmp_path / "x.argosmodel", folder)


def test_a_model_that_cannot_be_loaded_is_refused(tmp_path: Path, folder: Path) -> None:
    files = {"metadata.json": METADATA, "model/model.bin": b"rubbish", "sentencepiece.model": b"rubbish"}
    file = write_zip(tmp_path / "x.argosmodel", **{f"it_en/{name}": content for name, content in files.items()})
    assert "its model cannot be used" in refused(file, folder)


def test_a_refused_update_leaves_the_old_package(tmp_path: Path, folder: Path, model_file: Path) -> None:
    install_file(model_file, folder)
    with pytest.raises(StartError):
        install_file(write_zip(tmp_path / "x.argosmodel", **{"it_en/metadata.json": METADATA}), folder)
    assert Translator(folder).can("it", "en")


def test_a_file_that_is_not_there(folder: Path) -> None:
    with pytest.raises(StartError, match="There is no file it"):
        install_file(Path("it"), folder)


# --- the index ---

INDEX = [
    {"from_code": "it", "to_code": "en", "package_version": "1.9", "links": ["https://models.test/old"]},
    {"from_code": "it", "to_code": "en", "package_version": "1.10", "links": ["ipfs://x", "https://models.test/new"]},
    {"from_code": "en", "to_code": "fr", "package_version": "1.0", "links": ["https://models.test/fr"]},
    {"type": "sbd", "links": []},
    "odd",
]


def fake_index(model: bytes, index: object = INDEX, status: int = 200) -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "models.test":
            return httpx.Response(200 if request.url.path == "/new" else 404, content=model)
        return httpx.Response(status, json=index)

    return httpx.Client(transport=httpx.MockTransport(answer))


def test_the_newest_package_of_the_index_is_installed(folder: Path, model_file: Path) -> None:
    with fake_index(model_file.read_bytes()) as client:
        assert install_pair("it", "en", folder, client=client) == ("it", "en")
    assert Translator(folder).pairs() == {("it", "en")}


def test_a_pair_that_goes_over_english_is_explained(folder: Path) -> None:
    with fake_index(b"") as client, pytest.raises(StartError, match="install it en and en fr"):
        install_pair("it", "fr", folder, client=client)
    with fake_index(b"") as client, pytest.raises(StartError, match="has no package wo → it"):
        install_pair("wo", "it", folder, client=client)


def test_a_package_for_other_languages_is_refused(folder: Path, tmp_path: Path) -> None:
    other = build_package(tmp_path / "other", "fr", "en", {"bonjour": "hello"})
    content = zip_package(other, tmp_path / "x.argosmodel").read_bytes()
    with fake_index(content) as client, pytest.raises(StartError, match="fr → en, which was not asked for"):
        install_pair("it", "en", folder, client=client)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("index, status", [({"a": 1}, 200), ([], 500)])
def test_an_index_out_of_order_is_one_sentence(folder: Path, index: object, status: int) -> None:
    with fake_index(b"", index, status) as client, pytest.raises(StartError, match=r"run: elp translate install FILE"):
        install_pair("it", "en", folder, client=client)


def test_what_is_no_language_is_refused(folder: Path) -> None:
    with pytest.raises(StartError, match="not the code of a language"):
        install_pair("it", "../en", folder)
