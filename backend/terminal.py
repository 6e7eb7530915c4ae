"""`elp chat`: talk to the running bot in this terminal, through its public API."""

import secrets
from typing import Any

import httpx
import typer

from backend.config import Settings


def talk(settings: Settings, language: str) -> None:
    """Until an empty line or Ctrl-D; a number presses the button of that number."""
    with httpx.Client(base_url=f"{settings.address}/api/v1", timeout=10) as http:
        try:
            opened = _checked(http.post("/conversations", json={"language": language}))
        except httpx.HTTPError:
            typer.echo(f"Nothing answers at {settings.address}. Start it with ./elp run.", err=True)
            raise typer.Exit(1) from None
        http.headers["authorization"] = f"Bearer {opened['token']}"
        choices = _show(opened["messages"])
        while said := _ask():
            known = said.isdecimal() and 0 < int(said) <= len(choices)
            what = {"choice": choices[int(said) - 1]} if known else {"text": said}
            body = {"client_message_id": secrets.token_hex(8), **what}
            try:
                answer = _checked(http.post(f"/conversations/{opened['id']}/messages", json=body))
            except httpx.HTTPError:
                typer.echo("No answer. Try again in a moment.", err=True)
                continue
            choices = _show(answer["messages"])


def _checked(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    if response.is_error:
        typer.echo(body.get("title", response.reason_phrase), err=True)
        if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            return {"messages": []}
        raise typer.Exit(1)
    return body


def _ask() -> str:
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        return ""


def _show(messages: list[dict[str, Any]]) -> list[str]:
    choices: list[str] = []
    for message in messages:
        for line in message["emergency"]:
            typer.secho(f"  {line['number']}  {line['label']}", bold=True, fg="red")
        for card in message["entries"]:
            _show_card(card, with_lead=message["intent"] == "ask")
        if not message["entries"] or message["intent"] != "ask":
            typer.echo(message["text"])
        choices = [choice["id"] for choice in message["choices"]]
        for number, choice in enumerate(message["choices"], 1):
            typer.secho(f"  {number}. {choice['label']}", fg="cyan")
    return choices


def _show_card(card: dict[str, Any], *, with_lead: bool) -> None:
    typer.secho(card["title"], bold=True)
    if with_lead:
        typer.echo(card["lead"])
    for row in card["rows"]:
        typer.echo(f"  {row['label']}: {' · '.join(row['values'])}")
    for note in card["notes"]:
        typer.secho(f"  ! {note}", fg="yellow")
    typer.secho(f"  {card['checked']}  {' '.join(card['sources'][:1])}", dim=True)
