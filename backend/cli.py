"""The command line `elp` (design section 9). Commands are one call long; what they do lives beside its subject."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from pydantic import ValidationError

from backend.config import ROOT, Settings
from backend.translations import app as translate

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The ELP Assistant.")
kb = typer.Typer(no_args_is_help=True, help="Content of the knowledge base.")
nlu = typer.Typer(no_args_is_help=True, help="The model that understands what people want to do.")
language = typer.Typer(no_args_is_help=True, help="How far each language is.")
evaluate = typer.Typer(no_args_is_help=True, help="Measures quality; prints one JSON object last.")
bench = typer.Typer(no_args_is_help=True, help="Measures speed; prints one JSON object last.")
keys = typer.Typer(no_args_is_help=True, help="Keys that encrypt what people write.")
user = typer.Typer(no_args_is_help=True, help="Accounts of those who work with the assistant.")
app.add_typer(kb, name="kb")
app.add_typer(keys, name="keys")
app.add_typer(user, name="user")
app.add_typer(translate, name="translate")
app.add_typer(nlu, name="nlu")
app.add_typer(language, name="language")
app.add_typer(evaluate, name="evaluate")
app.add_typer(bench, name="bench")

STAFF_ROLES = ("administrator", "operator", "editor", "desk_manager", "auditor")
Existing = Annotated[Path, typer.Option(exists=True, dir_okay=False, readable=True)]
LanguageCode = Annotated[str, typer.Option(help="Code of the language, such as it or ar.")]


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


def settings_or_stop() -> Settings:
    """Raises typer.Exit after one line for each setting that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        for one in error.errors():
            name = "_".join(str(part) for part in one["loc"]).upper()
            typer.echo(f"Setting ELP_{name}: {one['msg']}." if name else f"Settings: {one['msg']}.", err=True)
        raise typer.Exit(2) from None


@app.command()
def run(
    telegram_demo: Annotated[
        bool, typer.Option("--telegram-demo", help="Also play Telegram, with a page for trying the bot out.")
    ] = False,
) -> None:
    """Start everything on this machine."""
    from backend.start import run_all

    raise typer.Exit(run_all(settings_or_stop(), telegram_demo=telegram_demo))


@app.command()
def serve() -> None:
    """Start the web server alone (needs ELP_DATABASE_URL)."""
    from backend.main import main as serve_web

    serve_web()


@app.command()
def worker() -> None:
    """Start the worker alone (needs ELP_DATABASE_URL)."""
    from backend.worker import main as start_worker

    start_worker()


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from backend.start import migrate_database, with_database

    with_database(settings_or_stop(), migrate_database)


@app.command()
def seed(
    demo: Annotated[bool, typer.Option("--demo", help="Also give example hours to desks that have none.")] = False,
) -> None:
    """Load the starter content, and a first desk where there is no organisation; what somebody edited is left alone."""
    from backend.start import seed_content, with_database

    with_database(
        settings_or_stop(), lambda settings: typer.echo(seed_content(settings, demo="all" if demo else "none"))
    )


@app.command()
def erase(conversation: Annotated[UUID, typer.Argument(help="Its id.")]) -> None:
    """Erase a conversation for somebody who asked for it; prints the receipt."""
    from backend.start import erase as erase_conversation
    from backend.start import with_database

    with_database(settings_or_stop(), lambda settings: typer.echo(erase_conversation(settings, conversation)))


@app.command()
def chat(language: Annotated[str, typer.Option(help="Language to talk in.")] = "it") -> None:
    """Talk to the bot in this terminal."""
    from backend.terminal import talk

    talk(settings_or_stop(), language)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run every check and every test; further arguments go to pytest."""
    from backend.develop import run_tests

    raise typer.Exit(run_tests(context.args))


@app.command()
def check() -> None:
    """Read-only checks: style, types, import rules, templates, content, catalogues."""
    from backend.develop import run_checks

    raise typer.Exit(run_checks())


@app.command()
def fix() -> None:
    """Let the tools correct what they can."""
    from backend.develop import run_fixes

    raise typer.Exit(run_fixes())


@app.command()
def audit() -> None:
    """Ask the registries whether any locked dependency has a known vulnerability."""
    from backend.advisories import audit as ask

    raise typer.Exit(ask(typer.echo))


@kb.command("check")
def kb_check() -> None:
    """Check entries and sentences in every language; one line for each problem."""
    from backend.develop import check_texts

    failed = check_texts()
    typer.echo(f"failed: {', '.join(failed)}" if failed else "Everything people read is in order.")
    raise typer.Exit(1 if failed else 0)


@kb.command("stamp")
def kb_stamp() -> None:
    """Note in new translations which Italian text they were made from."""
    from knowledge_base.files import load_content, stamp_translations

    typer.echo(f"{stamp_translations(load_content(drafts=True))} translations stamped.")


@keys.command("new")
def keys_new() -> None:
    """Print a new key for ELP_SECRET_KEYS."""
    from backend.encryption import new_key

    typer.echo(new_key())


@keys.command("rotate")
def keys_rotate() -> None:
    """Put everything under the newest key, while people write."""
    from backend.start import rotate_keys, with_database

    with_database(settings_or_stop(), lambda settings: typer.echo(rotate_keys(settings)))


@user.command("add")
def user_add(
    email: Annotated[str, typer.Argument(help="Address the person signs in with.")],
    name: Annotated[str, typer.Option(help="As colleagues see it.")],
    role: Annotated[str | None, typer.Option(help=f"One of: {', '.join(STAFF_ROLES)}.")] = None,
    organisation: Annotated[str | None, typer.Option(help="Name; without it the role holds everywhere.")] = None,
    desk: Annotated[str | None, typer.Option(help="Name of one desk of the organisation.")] = None,
    language: LanguageCode = "it",
) -> None:
    """Make an account; prints a link, once, with which its owner sets a password."""
    from backend.start import add_user, with_database
    from backend.users import NewUser

    new = NewUser(email, name, role=role, organisation=organisation, desk=desk, language=language)
    with_database(settings_or_stop(), lambda settings: typer.echo(add_user(settings, new)))


@user.command("link")
def user_link(email: Annotated[str, typer.Argument(help="Address of the account.")]) -> None:
    """Print a new link with which the owner of an account sets a password; earlier links die."""
    from backend.start import link_user, with_database

    with_database(settings_or_stop(), lambda settings: typer.echo(link_user(settings, email)))


@kb.command("readability")
def kb_readability() -> None:
    """Gulpease index of each Italian text and of its simpler words, the hardest first."""
    from knowledge_base.files import load_content
    from knowledge_base.readability import PLAIN, SIMPLE, of_text

    entries = [entry for entry in load_content().entries if entry.shown]
    measured = sorted((*of_text(entry.texts["it"]), entry.id) for entry in entries)
    for full, simple, entry_id in measured:
        typer.echo(f"{full:6.1f} {simple:6.1f}  {entry_id}")
    hard = sum(full < PLAIN or simple < SIMPLE for full, simple, _ in measured)
    typer.echo(f"{hard} of {len(measured)} under {PLAIN} or, in simpler words, under {SIMPLE}.")
    raise typer.Exit(1 if hard else 0)


def _language_or_stop(work: Callable[[], T]) -> T:
    from backend.languages import LanguageError

    try:
        return work()
    except LanguageError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@language.command("add")
def language_add(code: str) -> None:
    """Prepare the files of a new language; nobody can choose it yet."""
    from backend import languages

    for path in _language_or_stop(lambda: languages.add(code)):
        typer.echo(f"made {path.relative_to(ROOT)}")
    typer.echo(f"CONTRIBUTING.md says how to fill them. What is missing: elp language check {code}")


@language.command("check")
def language_check(code: str) -> None:
    """What a language lacks before people can choose it."""
    from backend import languages

    lacks = _language_or_stop(lambda: languages.missing(code))
    for line in lacks:
        typer.echo(line)
    typer.echo(f"{len(lacks)} things are missing." if lacks else f"Complete: elp language publish {code}")
    raise typer.Exit(1 if lacks else 0)


@language.command("publish")
def language_publish(code: str) -> None:
    """Let people choose a language that is complete."""
    from backend import languages

    _language_or_stop(lambda: languages.publish(code))
    typer.echo(f"People can choose {code} from the next start on. Also: elp language table, README.md, CHANGELOG.md.")


@language.command("table")
def language_table() -> None:
    """Write docs/languages.md anew."""
    from backend.languages import TABLE, table

    TABLE.write_text(table(), encoding="utf-8")
    typer.echo(f"{TABLE.relative_to(ROOT)} is up to date.")


@nlu.command("train")
def nlu_train() -> None:
    """Train the NLU model; skips when nothing changed."""
    from backend.start import train_nlu

    train_nlu(settings_or_stop())


@nlu.command("check")
def nlu_check() -> None:
    """Measure the model on the held-out phrases in nlu/tests."""
    from backend.start import nlu_python

    command = [nlu_python(settings_or_stop()), str(ROOT / "nlu" / "measure.py"), "check"]
    raise typer.Exit(subprocess.call(command))


@evaluate.command("search")
def evaluate_search(corpus: Existing, queries: Existing, qrels: Existing, language: LanguageCode) -> None:
    """Rank a BEIR collection: P@1, MRR@10, R@5, milliseconds a query."""
    from knowledge_base.evaluation import evaluate_search as measure

    print_json(measure(corpus, queries, qrels, language))


@evaluate.command("language")
def evaluate_language(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Lines of language<TAB>text: accuracy per language and confusions."""
    from bot.evaluation import evaluate_language as measure

    print_json(measure(file))


@evaluate.command("intents")
def evaluate_intents(train: Existing, test: Existing, language: LanguageCode) -> None:
    """Lines of label<TAB>text, through nlu/config.yml."""
    from backend.start import nlu_python

    script = str(ROOT / "nlu" / "measure.py")
    python = nlu_python(settings_or_stop())
    raise typer.Exit(
        subprocess.call([python, script, "intents", "--train", str(train), "--test", str(test), "--language", language])
    )


@evaluate.command("answers")
def evaluate_answers(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    failures: Annotated[bool, typer.Option(help="Print what went wrong, line by line, before the JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="A page to write the figures into.", exists=True)] = None,
) -> None:
    """The whole bot, real NLU and search, on questions with what is expected of them."""
    from backend.quality import evaluate_answers as measure

    print_json(measure(settings_or_stop(), file, show_failures=failures, into=report))


@evaluate.command("emergencies")
def evaluate_emergencies(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    failures: Annotated[bool, typer.Option(help="Print what was missed and false alarms before the JSON.")] = False,
) -> None:
    """Lines of language<TAB>kind<TAB>message: dangers heard, missed, and false alarms, through the whole bot."""
    from backend.quality_emergencies import evaluate_emergencies as measure

    print_json(measure(settings_or_stop(), file, show_failures=failures))


@bench.command("chat")
def bench_chat(
    callers: Annotated[list[int] | None, typer.Option(help="Callers at once; may be given several times.")] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long each round lasts.")] = 15,
) -> None:
    """Turns a second and their times over HTTP, with PostgreSQL and Rasa."""
    from backend.benchmark import bench_chat as measure

    print_json(measure(settings_or_stop(), callers or [1, 8, 32], seconds))


@bench.command("console")
def bench_console(
    operators: Annotated[int, typer.Option(min=1, max=200)] = 20,
    waiting: Annotated[int, typer.Option(min=50, max=10_000, help="Conversations in the queue.")] = 500,
    seconds: Annotated[float, typer.Option(min=5, max=7200)] = 30,
) -> None:
    """Operators at the queue while people write: page, a message on the screen, and a race of claims."""
    from backend.benchmark_console import bench_console as measure

    print_json(measure(settings_or_stop(), operators=operators, waiting=waiting, seconds=seconds))


@bench.command("booking")
def bench_booking(
    callers: Annotated[int, typer.Option(min=2, max=500)] = 50,
    times: Annotated[int, typer.Option(min=1, max=2_000, help="Overlapping times that all of them want.")] = 200,
) -> None:
    """Callers after the same times, and how long it takes to say which times are free."""
    from backend.benchmark_booking import bench_booking as measure

    print_json(measure(settings_or_stop(), callers=callers, times=times))


@bench.command("telegram")
def bench_telegram(
    people: Annotated[int, typer.Option(min=10, max=1000)] = 200,
    messages: Annotated[int, typer.Option(min=50, max=20_000, help="Waiting to be sent.")] = 1000,
    kills: Annotated[int, typer.Option(min=0, max=50, help="Of the worker, while it sends them.")] = 5,
) -> None:
    """People talking at once through the stand-in, and a queue whose worker is killed."""
    from backend.benchmark_telegram import bench_telegram as measure

    print_json(measure(settings_or_stop(), people=people, messages=messages, kills=kills))


@bench.command("page")
def bench_page(
    visits: Annotated[int, typer.Option(min=1, max=100, help="In each language; each by a new browser profile.")] = 5,
) -> None:
    """First visit and first answer in Chromium at 400 kbit/s and 400 ms: bytes, times, what moves."""
    from backend.benchmark_page import bench_page as measure

    print_json(measure(settings_or_stop(), visits=visits))


@bench.command("search")
def bench_search(entries: Annotated[int, typer.Option(min=10, max=50_000)] = 10_000) -> None:
    """Build time, query time and memory of the index."""
    from knowledge_base.evaluation import bench_search as measure

    print_json(measure(entries))


def main() -> None:
    """Errors that a person can do something about are one sentence, never a traceback."""
    from backend.progress import StartError

    try:
        app()
    except StartError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main()
