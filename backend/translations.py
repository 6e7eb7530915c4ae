"""Translation packages from the command line: `elp translate`. Translating itself is `bot/translation.py`."""

import json
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from backend.config import Settings
from backend.progress import StartError

if TYPE_CHECKING:
    import httpx

INDEX_PAGE = "https://www.argosopentech.com/argospm/index/"
_LARGEST = 4_000_000_000
_MOST_FILES = 5_000
_LARGEST_INDEX = 20_000_000
_UNUSED = frozenset({"stanza", "spacy", "minisbd"})
"""Folders of a package that split sentences; we do that ourselves."""

app = typer.Typer(no_args_is_help=True, help="Machine translation of what operators and people write to each other.")


@app.command("install")
def install_command(
    what: Annotated[list[str], typer.Argument(help="Two languages (it en), or a file that ends in .argosmodel.")],
) -> None:
    """Install a translation package, from the Argos index or from a file."""
    folder = _folder()
    if len(what) == 1:
        source, target = install_file(Path(what[0]), folder)
    elif len(what) == 2:
        source, target = install_pair(what[0], what[1], folder)
    else:
        raise StartError("Name two languages, such as: elp translate install it en; or one file.")
    typer.echo(f"Installed {source} → {target}.")


@app.command("list")
def list_command() -> None:
    """Print the pairs of languages that can be translated."""
    from bot.translation import find_packages

    pairs = sorted(find_packages(_folder()))
    for source, target in pairs:
        typer.echo(f"{source} → {target}")
    if not pairs:
        typer.echo("No translation package is installed. Install one with: elp translate install it en")


def _folder() -> Path:
    try:
        return Settings().data_dir / "translation"
    except ValidationError as error:
        names = ", ".join("ELP_" + "_".join(map(str, one["loc"])).upper() for one in error.errors())
        raise StartError(f"These settings cannot be used: {names}.") from error


def install_file(file: Path, folder: Path, *, wanted: tuple[str, str] | None = None) -> tuple[str, str]:
    """Unpacks a package, tries it, and puts it in the place of an older one. Raises StartError."""
    from bot.translation import read_pair

    if not file.is_file():
        raise StartError(f"There is no file {file}. To fetch a package name two languages: elp translate install it en")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as place:
            package = _unpack(file, Path(place))
            try:
                pair = read_pair(package)
            except (OSError, ValueError, RecursionError) as error:
                raise StartError(f"{file.name} is not an Argos translation package.") from error
            if wanted not in (None, pair):
                raise StartError(f"{file.name} translates {pair[0]} → {pair[1]}, which was not asked for.")
            _try_out(package, file.name)
            _replace(package, pair, folder)
    except OSError as error:
        raise StartError(f"{file.name} could not be installed in {folder}: {error.strerror or error}.") from error
    return pair


def _unpack(file: Path, place: Path) -> Path:
    """The folder of the package. Nothing is written outside `place`. Raises StartError, OSError."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_entries(entries, file.name)
            for entry in entries:
                if _UNUSED.isdisjoint(PurePosixPath(entry.filename).parts[1:2]):
                    archive.extract(entry, place)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise StartError(f"{file.name} is not an Argos package: it is no zip archive, or a damaged one.") from error
    except Exception as error:
        if type(error).__module__ in ("zlib", "lzma", "_lzma", "_bz2"):
            raise StartError(f"{file.name} is not an Argos package: it is a damaged zip archive.") from error
        raise
    found = [folder for folder in place.iterdir() if (folder / "metadata.json").is_file()]
    if len(found) != 1:
        raise StartError(f"{file.name} is not an Argos package: it should hold one folder with a metadata.json.")
    return found[0]


def _check_entries(entries: list[zipfile.ZipInfo], name: str) -> None:
    """Raises StartError for what an honest package never holds."""
    for entry in entries:
        path = entry.filename
        outside = path.startswith("/") or "\\" in path or ":" in path or ".." in PurePosixPath(path).parts
        if outside or stat.S_ISLNK(entry.external_attr >> 16):
            raise StartError(f"{name} is refused: it wants to write outside its own folder.")
    if len(entries) > _MOST_FILES or sum(entry.file_size for entry in entries) > _LARGEST:
        raise StartError(f"{name} is refused: it is larger than any translation package.")


def _try_out(package: Path, name: str) -> None:
    """One word through the model: what is broken has to show here and not in a conversation."""
    from bot.translation import load_model

    try:
        load_model(package)(["Ciao."])
    except Exception as error:
        raise StartError(f"{name} is refused: its model cannot be used ({type(error).__name__}).") from error


def _replace(package: Path, pair: tuple[str, str], folder: Path) -> None:
    """A running assistant sees the old package or the new one, or for an instant none."""
    from bot.translation import find_packages

    older = find_packages(folder).get(pair)
    package.joinpath("metadata.json").touch()
    aside = package.parent / "older"
    if older is not None:
        older.rename(aside)
    try:
        package.rename(folder / f"{pair[0]}_{pair[1]}")
    except OSError:
        if older is not None:
            aside.rename(older)
        raise
    with suppress(OSError):
        shutil.rmtree(aside)


# --- the index ---


def install_pair(source: str, target: str, folder: Path, *, client: "httpx.Client | None" = None) -> tuple[str, str]:
    """Fetches the newest package of the Argos index. Raises StartError with what to do when it cannot be reached."""
    import httpx

    for code in (source, target):
        if not re.fullmatch(r"[a-z]{2,3}", code):
            raise StartError(f"{code} is not the code of a language, such as it or en.")
    try:
        with _client(client) as http:
            address = _find_link(_read_index(http), source, target)
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as place:
                file = Path(place) / f"translate-{source}_{target}.argosmodel"
                _download(http, address, file)
                return install_file(file, folder, wanted=(source, target))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
        raise StartError(
            f"The Argos index cannot be reached ({type(error).__name__}): download the package {source} → {target} on "
            f"another computer from {INDEX_PAGE} and run: elp translate install FILE.argosmodel"
        ) from error
    except OSError as error:
        raise StartError(f"Nothing can be written to {folder}: {error.strerror or error}.") from error


@contextmanager
def _client(given: "httpx.Client | None") -> "Iterator[httpx.Client]":
    import httpx

    if given is not None:
        yield given
        return
    with httpx.Client(follow_redirects=True, timeout=httpx.Timeout(60, connect=10)) as client:
        yield client


def _read_index(http: "httpx.Client") -> list[Any]:
    """Raises httpx.HTTPError and ValueError."""
    from bot.translation import argos

    with http.stream("GET", str(argos().settings.remote_package_index)) as response:
        response.raise_for_status()
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _LARGEST_INDEX:
                raise ValueError("the index is too large")
    index = json.loads(body)
    if not isinstance(index, list):
        raise ValueError("not an index")
    return index


def _find_link(index: list[Any], source: str, target: str) -> str:
    """The address of the newest package of a pair. Raises StartError."""
    newest: tuple[tuple[int, ...], str] | None = None
    pairs = set()
    for one in index:
        if not isinstance(one, dict) or one.get("type", "translate") != "translate":
            continue
        pairs.add((one.get("from_code"), one.get("to_code")))
        links = [str(link) for link in one.get("links") or () if str(link).startswith("https://")]
        if (one.get("from_code"), one.get("to_code")) == (source, target) and links:
            version = tuple(map(int, re.findall(r"\d{1,6}", str(one.get("package_version", "")))))
            newest = max(newest or ((), ""), (version, links[0]))
    if newest is not None:
        return newest[1]
    if (source, "en") in pairs and ("en", target) in pairs:
        raise StartError(
            f"There is no package {source} → {target}; install {source} en and en {target}, and the assistant goes "
            "over English."
        )
    raise StartError(f"The Argos index has no package {source} → {target}.")


def _download(http: "httpx.Client", address: str, file: Path) -> None:
    """Raises httpx.HTTPError, ValueError, OSError."""
    with http.stream("GET", address) as response, file.open("wb") as out:
        response.raise_for_status()
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > _LARGEST:
                raise ValueError("the package is too large")
            out.write(chunk)
