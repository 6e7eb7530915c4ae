"""The operators' console: who asked a desk for help, and what they wrote."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from backend.operators import (
    ReadConversation,
    list_conversations,
    read_conversation,
    show_attachment,
    show_message,
)
from backend.web.api import ServicesHere
from backend.web.attachments import served
from backend.web.staff import StaffHere, own_form, staff_language, staff_page

router = APIRouter(prefix="/console", include_in_schema=False, dependencies=[Depends(own_form)])

MessageId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("")
async def show_list(request: Request, staff: StaffHere, services: ServicesHere) -> Response:
    language = staff_language(request, staff)
    async with services.sessions.begin() as session:
        conversations = await list_conversations(session, staff, language=language, actions=services.shelf)
    return staff_page(request, "console/list.html", staff=staff, conversations=conversations)


@router.get("/conversations/{conversation_id}")
async def show_conversation(
    request: Request, conversation_id: UUID, staff: StaffHere, services: ServicesHere
) -> Response:
    language = staff_language(request, staff)
    async with services.sessions.begin() as session:
        conversation = await read_conversation(
            session, staff, conversation_id, language=language, actions=services.shelf
        )
    return staff_page(request, "console/conversation.html", staff=staff, conversation=conversation, shown=None)


@router.post("/conversations/{conversation_id}/messages/{message_id}/show")
async def show_hidden(
    request: Request, conversation_id: UUID, message_id: MessageId, staff: StaffHere, services: ServicesHere
) -> Response:
    """The page again, this one message in full; opened anew, it is hidden as before."""
    language = staff_language(request, staff)
    async with services.sessions.begin() as session:
        text = await show_message(session, staff, conversation_id, message_id, actions=services.shelf)
        conversation = await read_conversation(
            session, staff, conversation_id, language=language, actions=services.shelf
        )
    return staff_page(
        request,
        "console/conversation.html",
        staff=staff,
        conversation=_with_shown(conversation, message_id, text),
        shown=message_id,
    )


def _with_shown(conversation: ReadConversation, message_id: int, text: str) -> ReadConversation:
    messages = (
        replace(message, text=text, hidden=False) if message.id == message_id else message
        for message in conversation.messages
    )
    return replace(conversation, messages=tuple(messages))


@router.get("/conversations/{conversation_id}/attachments/{attachment_id}")
async def open_attachment(
    conversation_id: UUID, attachment_id: UUID, staff: StaffHere, services: ServicesHere
) -> Response:
    async with services.sessions.begin() as session:
        attachment = await show_attachment(session, staff, conversation_id, attachment_id)
    return served(attachment)
