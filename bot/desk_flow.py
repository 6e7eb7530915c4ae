"""A link on a poster or a leaflet that leads to one desk."""

from dataclasses import replace

from bot.booking_steps import Step
from bot.buttons import answer_buttons, topic_buttons
from bot.turn import Choice, Reply


async def show(step: Step, desk: str) -> Reply:
    """What the desk is, and how one comes to it."""
    offer = next((one for one in await step.visits.offers() if str(one.desk) == desk), None)
    if offer is None:
        return step.reply(step.say("telegram.link_over"), *topic_buttons(step.language), intent="none")
    entry = step.entries.find_entry(offer.desk_entry) if offer.desk_entry else None
    found = entry.text_for(step.language) if entry and entry.shown else None
    if entry is None or found is None:
        choices = (Choice(f"pick:{offer.kind}", step.say("choice.book")), step.button("human"), step.button("topics"))
        return step.reply(step.say("telegram.desk", desk=offer.desk_name), *choices)
    state = {"last_entry": entry.id, "last_variant": "full"}
    reply = step.reply(found[1].summary, *answer_buttons(step.language, entry), intent="ask", **state)
    return replace(reply, entry=entry.id)
