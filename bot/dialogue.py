"""What the bot says. No database, no network, no channel: a turn in, a reply out."""

from collections.abc import Callable
from dataclasses import replace

from bot import booking_steps, emergency_kinds, handover_flow, keywords, privacy_flow, shared_flow
from bot.actions import Actions
from bot.answers import MISSES_BEFORE_PERSON, Answers
from bot.bookings import BUTTONS
from bot.buttons import button, first_topics, more_topics
from bot.language_names import named
from bot.meaning import meant
from bot.phrases import say
from bot.privacy import first_words, short_notice
from bot.topics import ANY_DANGER, DANGER, TOPICS, entries_of
from bot.turn import (
    FACETS,
    Choice,
    DialogueState,
    Emergency,
    EmergencyLine,
    Incoming,
    Intent,
    Keeping,
    Reply,
    Turn,
    Understanding,
)
from knowledge_base.entry import Kind
from knowledge_base.search import Band

_AFTER_NUMBER = " \u00a0:：–-"
"""Between the number and the rest of a title: the number stands beside it anyway."""
_NOD_SURE = 0.55
"""Below this yes and no are not taken from the classifier."""
_ACT_VERY_SURE = 0.8
_MUCH_LIKE_DANGER = 0.7
"""Chance of danger (decision 24)."""
BOOKING = {
    Intent.BOOK: "book",
    Intent.RESCHEDULE: "move_mine",
    Intent.CANCEL_BOOKING: "cancel_mine",
    Intent.MY_BOOKINGS: "visits",
}
"""The step of booking that an act begins with (`Reply.books`)."""
SMALL_TALK = {Intent.GREET: "greet", Intent.THANKS: "thanks", Intent.GOODBYE: "goodbye", Intent.HELP: "help"}


def respond(turn: Turn, actions: Actions) -> Reply:
    """One reply to one message, in the order of design section 4. Never raises on what a person sent."""
    answering = _Turn(turn, actions)
    choice = turn.incoming.choice
    reply = answering.written() if choice is None else answering.pressed(choice)
    reply = shared_flow.with_unread(reply, turn.incoming.unread)
    plain = not (reply.books or reply.emergency or reply.erase or reply.hands_over)
    return _with_numbers(booking_steps.with_resume(reply) if plain else reply, turn, actions)


def _with_numbers(reply: Reply, turn: Turn, actions: Actions) -> Reply:
    """The answer as it is and one quiet line with it, when there may be danger in the words."""
    perhaps = turn.understanding.perhaps_emergency
    told = reply.emergency or reply.erase or reply.books == "typed"
    if perhaps is None or told or perhaps.chance < _chance_needed(turn, actions):
        return reply
    choices, human = reply.choices, button(reply.language, "human")
    if choices and human not in choices and not (reply.books or reply.hands_over):
        choices = (*choices, human)
    return replace(reply, choices=choices, emergency=emergency_lines(perhaps, reply.language, actions))


def _chance_needed(turn: Turn, actions: Actions) -> float:
    """What is surely something else has to sound much like danger."""
    guess, found = turn.understanding.guess, turn.understanding.found
    if guess and guess.intent not in (Intent.ASK, Intent.HUMAN, Intent.HELP) and guess.confidence >= _ACT_VERY_SURE:
        return _MUCH_LIKE_DANGER
    entry = actions.find_entry(found.hits[0].id) if found and found.band is Band.SURE else None
    harmless = entry and not entry.facts.danger and entry.kind is not Kind.EMERGENCY_LINE
    return _MUCH_LIKE_DANGER if harmless else 0.0


def emergency_lines(emergency: Emergency, language: str, actions: Actions) -> tuple[EmergencyLine, ...]:
    """The numbers to call, most urgent first."""
    found = []
    for entry_id in emergency.lines:
        entry = actions.find_entry(entry_id)
        text = entry.text_for(language) if entry else None
        if entry and text and entry.facts.phones:
            number = entry.facts.phones[0].number
            found.append(EmergencyLine(number, text[1].title.removeprefix(number).lstrip(_AFTER_NUMBER)))
    return tuple(found)


def respond_held(turn: Turn, actions: Actions) -> Reply | None:
    """While a person has the word, or is waited for: see `handover_flow.respond_held`."""
    if turn.incoming.choice == f"topic:{DANGER}":
        turn = replace(turn, understanding=replace(turn.understanding, emergency=ANY_DANGER))
    emergency = turn.understanding.emergency
    lines = emergency_lines(emergency, turn.incoming.language, actions) if emergency else ()
    return handover_flow.respond_held(turn, lines)


def welcome(language: str, keeping: Keeping) -> Reply:
    """The first message of every conversation: what this is, what is kept of it, and where one can begin."""
    people = (button(language, "human"), button(language, "book"))
    choices = (*first_topics(language), *people, more_topics(language), button(language, "privacy"))
    return Reply(language, first_words(language, keeping), "greet", choices=choices)


def welcome_to(topic: str, language: str, keeping: Keeping, actions: Actions) -> Reply:
    """The first message for somebody who comes for one topic; the usual one when nobody knows that topic."""
    if topic not in TOPICS:
        return welcome(language, keeping)
    pressed = Turn(Incoming(language, choice=f"topic:{topic}"), Understanding(), DialogueState(), keeping)
    reply = respond(pressed, actions)
    return replace(reply, text=f"{reply.text}\n\n{short_notice(language, keeping)}")


class _Turn(Answers):
    """The turn being answered, with the language at hand: what every step below needs."""

    # ---- words ----

    def written(self) -> Reply:
        understanding = self.turn.understanding
        first = self._emergency() or self._pointed() or self._answer_to_question() or self._booking_words()
        reply = first or self._act() or self._found()
        if understanding.written_in and not (reply.emergency or reply.hands_over or reply.books):
            return self._suggest_language(reply, understanding.written_in)
        return reply

    def _emergency(self) -> Reply | None:
        emergency = self.turn.understanding.emergency
        if emergency is None:
            return None
        lines = emergency_lines(emergency, self.language, self.actions)
        found = self.turn.understanding.found
        entry = found.hits[0].id if found and found.band is Band.SURE else None
        helps = self.actions.find_entry(entry) if entry else None
        if helps is None or not emergency_kinds.helps_in(emergency, helps):
            entry = None
        return self._reply(
            say(self.language, f"emergency.{emergency.kind}"),
            intent="emergency",
            emergency=lines,
            entry=entry,
            choices=(self._choice("human"), self._choice("safe")),
            state=self.state.change(
                last_entry=entry, last_variant="full", offered=(), pending=None, misses=0, danger=True
            ),
        )

    def _answer_to_question(self) -> Reply | None:
        """Yes or no after we asked something; a new question instead is answered as a new question."""
        guess, pending = self.turn.understanding.guess, self.state.pending
        guess = keywords.nod(self.turn.incoming.text) or guess
        if guess is None or guess.intent not in (Intent.YES, Intent.NO) or guess.confidence < _NOD_SURE:
            return None
        if not booking_steps.nods(self.turn):
            return None
        if pending is None:
            return self._anything_else() if guess.intent is Intent.NO else None
        return self.pressed(pending if guess.intent is Intent.YES else f"no:{pending}")

    def _booking_words(self) -> Reply | None:
        """A name or a day that an appointment in the making waits for."""
        turn = self.turn
        named = booking_steps.is_asked_for_a_name(turn) and booking_steps.looks_like_a_name(turn)
        timed = booking_steps.is_asked_for_a_time(turn) and booking_steps.means_a_time(turn)
        return self._books("typed") if named or timed else None

    def _pointed(self) -> Reply | None:
        """«The second one», «none of these», «not that»."""
        state, offered = self.state, self.state.offered
        if state.pending or (not offered and state.last_entry is None):
            return None
        which = keywords.pointed_at(self.turn.incoming.text, self.language, choices=len(offered))
        if isinstance(which, int):
            return self._entry_button(offered[which])
        if which is None or (which == "none" and not offered):
            return None
        return self._which(state.others if which == "not_that" else ())

    def _act(self) -> Reply | None:
        guess = meant(self.turn.understanding, self.state.last_entry)
        if guess is None:
            return None
        intent = guess.intent
        if intent.facet and self.state.last_entry:
            return self._about(self.state.last_entry, intent.facet)
        if intent is Intent.CHANGE_LANGUAGE:
            wanted = named(self.turn.incoming.text) or guess.language
            return self._change_language(wanted) if wanted else self._languages()
        if intent in SMALL_TALK:
            return self._small_talk(intent)
        if intent in BOOKING:
            found = self.turn.understanding.found
            about = found.hits[0].id if intent is Intent.BOOK and found and found.band is Band.SURE else ""
            return self._books(f"{BOOKING[intent]}:{about}".rstrip(":"), intent)
        if intent is Intent.NOT_UNDERSTOOD:
            return self._simpler(self.state.last_entry)
        if intent in (Intent.HUMAN, Intent.FORGET, Intent.WHAT_DO_YOU_KNOW):
            return self.pressed(intent.value)
        return None

    def _found(self) -> Reply:
        if keywords.is_wordless(self.turn.incoming.text):
            return shared_flow.wordless(self.turn)
        found = self.turn.understanding.found
        if found is None or found.band is Band.UNKNOWN or not found.hits:
            return self._unknown()
        if found.band is Band.SURE:
            entry = self.actions.find_entry(found.hits[0].id)
            if entry and entry.shown:
                return self._answer(entry, others=[hit.id for hit in found.hits[1:]])
        return self._which([hit.id for hit in found.hits], asked_before=False)

    # ---- buttons ----

    def pressed(self, choice: str) -> Reply:
        """Ids say everything; one that nobody knows any more gets a kind word and today's choices."""
        name, _, rest = choice.partition(":")
        if name in BUTTONS:
            return self._books(choice)
        if name in shared_flow.CHOICES:
            return shared_flow.answer(choice, self.turn, self.actions) or self._link(rest)
        if choice == f"topic:{DANGER}":
            return self._danger()
        handlers = {
            "entry": self._entry_button,
            "topic": self._topic,
            "language": self._change_language,
            "simpler": self._simpler,
            "show": self._show,
            "useful": self._useful,
            "no": self._declined,
            "helped": self._helped,
        }
        if name in handlers and rest:
            return handlers[name](rest)
        if name == "facet" and rest.count(":") == 1:
            facet, _, entry_id = rest.partition(":")
            return self._about(entry_id, facet) if facet in FACETS else self._over()
        plain: dict[str, Callable[[], Reply]] = {
            "none": self._none_of_these,
            "topics": self._topics,
            "languages": self._languages,
            "safe": self._safe,
            "human": self._human,
            "bot": lambda: handover_flow.back(self.turn),
            "waiting": self._human,
            "help": lambda: self._small_talk(Intent.HELP),
            "attachment": self._attachment,
        }
        if choice in privacy_flow.CHOICES:
            return privacy_flow.answer(choice, self.turn)
        return plain[choice]() if choice in plain else self._over()

    def _danger(self) -> Reply:
        """All numbers at once, then who else helps: nobody in danger is asked first what it is."""
        lines = emergency_lines(ANY_DANGER, self.language, self.actions)
        others = [entry for entry in entries_of(DANGER, self.actions) if entry.id not in ANY_DANGER.lines]
        return self._reply(
            say(self.language, f"emergency.{ANY_DANGER.kind}"),
            intent="emergency",
            emergency=lines,
            choices=(
                self._choice("human"),
                *self._entry_choices(others),
                self._choice("topic", f"{DANGER}:0", key="more"),
                self._choice("safe"),
            ),
            state=self._fresh(offered=tuple(entry.id for entry in others)).change(danger=True),
        )

    def _entry_button(self, entry_id: str) -> Reply:
        entry = self.actions.find_entry(entry_id)
        return self._answer(entry) if entry and entry.shown else self._over()

    def _link(self, payload: str) -> Reply:
        leads = shared_flow.linked(payload, self.actions) or ""
        return self._books(leads) if leads.startswith("desk:") else self.pressed(leads)

    def _useful(self, rest: str) -> Reply:
        entry_id, _, word = rest.rpartition(":")
        if word not in ("yes", "no") or self.actions.find_entry(entry_id) is None:
            return self._over()
        if word == "yes":
            reply = self._reply(say(self.language, "useful.yes"), intent="thanks", choices=(self._choice("topics"),))
        else:
            reply = self._not_useful(entry_id)
        return replace(reply, useful=(entry_id, word == "yes"))

    def _not_useful(self, entry_id: str) -> Reply:
        """After two answers that did not help a person is asked for with one word."""
        misses = self.state.misses + 1
        again = misses >= MISSES_BEFORE_PERSON
        choices = [self._choice("simpler", entry_id), self._choice("topics")]
        choices.insert(0 if again else len(choices), self._choice("human"))
        text = say(self.language, "useful.no_again" if again else "useful.no")
        state = self.state.change(misses=misses, pending="human" if again else None)
        return self._reply(text, intent="not_understood", choices=tuple(choices), state=state)

    def _helped(self, word: str) -> Reply:
        return handover_flow.helped(self.turn, word) if word in ("yes", "no") else self._over()

    def _declined(self, what: str) -> Reply:
        if what == "forget-now":
            return privacy_flow.declined(self.turn)
        if what.partition(":")[0] in BUTTONS:
            return self._books(f"no:{what}")
        return self._anything_else()

    def _none_of_these(self) -> Reply:
        return self._unknown(asked_before=True)

    # ---- answers ----

    # ---- other acts ----

    def _small_talk(self, intent: Intent) -> Reply:
        choices: tuple[Choice, ...] = ()
        if intent in (Intent.GREET, Intent.HELP):
            choices = (*self._topic_choices(), self._choice("human"), self._choice("languages"))
        return self._reply(say(self.language, SMALL_TALK[intent]), intent=intent.value, choices=choices)

    def _books(self, step: str, intent: Intent = Intent.BOOK) -> Reply:
        return self._reply("", intent=intent.value, state=self.state, books=step)

    def _human(self) -> Reply:
        choices = (*self._entry_choices(self.actions.desks()), self._choice("topics"))
        reply = self._reply(say(self.language, "human.nobody"), intent="human", choices=choices)
        last = self.actions.find_entry(self.state.last_entry) if self.state.last_entry else None
        state = self.state.change(pending=None, misses=0)
        return replace(reply, hands_over=handover_flow.wish(self.state, last), state=state)

    def _attachment(self) -> Reply:
        choices = (self._choice("human"), self._choice("topics"))
        return self._reply(say(self.language, "attachment.received"), intent="attachment", choices=choices)

    def _safe(self) -> Reply:
        state = self.state.change(pending=None, danger=False)
        text = say(self.language, "emergency.safe")
        return self._reply(text, intent="ask", choices=self._topic_choices(), state=state)
