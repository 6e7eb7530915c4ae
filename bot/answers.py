"""What the bot can say to a turn: an answer, choices, that it does not know. What it does say is in `dialogue.py`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bot import phrases, shared_flow
from bot.actions import Actions
from bot.buttons import answer_buttons, button, entry_buttons, every_topic_button, topic_buttons
from bot.other_languages import SENTENCES
from bot.phrases import KNOWN, SPOKEN, say
from bot.topics import entries_of
from bot.turn import FACETS, Choice, DialogueState, Reply, Turn
from knowledge_base.entry import Entry

_TOPIC_PAGE = 6
MISSES_BEFORE_PERSON = 2


class Answers:
    """The turn being answered, with the language at hand."""

    def __init__(self, turn: Turn, actions: Actions) -> None:
        self.turn = turn
        self.actions = actions
        self.language = turn.incoming.language
        self.state = turn.state

    def _which(self, entry_ids: Sequence[str], *, asked_before: bool = True) -> Reply:
        found = map(self.actions.find_entry, entry_ids)
        entries = [entry for entry in found if entry and entry.shown]
        if not entries:
            return self._unknown(asked_before=asked_before)
        return self._reply(
            say(self.language, "which"),
            intent="ask",
            choices=(*self._entry_choices(entries), self._choice("none")),
            state=self._fresh(offered=tuple(entry.id for entry in entries)),
        )

    def _answer(self, entry: Entry, others: Sequence[str] = ()) -> Reply:
        found = entry.text_for(self.language)
        if found is None:
            return self._unknown()
        return self._reply(
            found[1].summary,
            intent="ask",
            entry=entry.id,
            choices=answer_buttons(self.language, entry),
            state=self._fresh(last_entry=entry.id, others=tuple(others)),
        )

    def _about(self, entry_id: str, facet: str) -> Reply:
        entry = self.actions.find_entry(entry_id)
        if entry is None or not entry.shown:
            return self._over()
        found = entry.text_for(self.language)
        title = found[1].title if found else entry.record.name_it
        others = [other for other in FACETS if other != facet]
        return self._reply(
            say(self.language, f"facet.{facet}", title=title),
            intent=f"facet:{facet}",
            entry=entry.id,
            variant=f"facet:{facet}",
            choices=tuple(self._choice("facet", f"{other}:{entry.id}", key=f"facet_{other}") for other in others[:4]),
            state=self.state.change(last_entry=entry.id, last_variant="full", pending=None, misses=0),
        )

    def _simpler(self, entry_id: str | None) -> Reply:
        """First simpler words, then a person: nobody is left with a text they cannot read."""
        entry = self.actions.find_entry(entry_id) if entry_id else None
        found = entry.text_for(self.language) if entry and entry.shown else None
        if (
            entry is None
            or found is None
            or (entry_id == self.state.last_entry and self.state.last_variant == "simple")
        ):
            text = "not_understood.again" if entry else "not_understood.nothing"
            choices = (
                self._choice("human"),
                *([self._choice("show", entry.id)] if entry else []),
                self._choice("topics"),
            )
            return self._reply(say(self.language, text), intent="not_understood", choices=choices)
        return self._reply(
            found[1].simple,
            intent="not_understood",
            entry=entry.id,
            variant="simple",
            choices=(self._choice("show", entry.id), self._choice("human"), self._choice("languages")),
            state=self.state.change(last_entry=entry.id, last_variant="simple", pending=None),
        )

    def _show(self, entry_id: str) -> Reply:
        """The need in Italian, to hold up at a counter, with the person's own language under it."""
        entry = self.actions.find_entry(entry_id)
        italian = entry.texts.get(phrases.SOURCE) if entry and entry.shown else None
        if entry is None or italian is None:
            return self._over()
        own = entry.text_for(self.language)
        title = own[1].title if own else italian.title
        text = say(phrases.SOURCE, "show.need", title=italian.title)
        if self.language != phrases.SOURCE:
            text += "\n\n" + say(self.language, "show.need", title=title)
        state = self.state.change(last_entry=entry.id, last_variant="full", pending=None)
        return self._reply(text, intent="ask", variant="show", choices=(self._choice("topics"),), state=state)

    def _unknown(self, *, asked_before: bool = False) -> Reply:
        """«I do not know», a person, and the question kept for the editors."""
        misses = self.state.misses + 1
        again = misses >= MISSES_BEFORE_PERSON
        key = "unknown.again" if again else "unknown"
        question = self.state.question_id if asked_before else self.turn.incoming.message_id
        return self._reply(
            say(self.language, key),
            intent="none",
            choices=(self._choice("human"), self._choice("topics")),
            state=self.state.change(
                misses=misses, offered=(), pending="human" if again else None, question_id=question
            ),
            unanswered=question,
        )

    def _suggest_language(self, reply: Reply, written_in: str) -> Reply:
        """Suggests a language once, in that language."""
        if written_in in self.state.suggested or reply.language == written_in:
            return reply
        if written_in in SPOKEN:
            name = KNOWN[written_in].name
            note = say(written_in, "language.suggest", language=name)
            choices = (
                Choice(f"language:{written_in}", say(written_in, "choice.language", language=name)),
                *reply.choices,
            )
            pending = f"language:{written_in}"
        else:
            name = phrases.language_name(written_in, self.language)
            note = "\n".join(
                [*filter(None, [SENTENCES.get(written_in)]), say(self.language, "language.not_spoken", language=name)]
            )
            choices, pending = (*reply.choices, self._choice("languages")), None
        state = reply.state.change(
            suggested=(*self.state.suggested, written_in), pending=reply.state.pending or pending
        )
        return replace(reply, text=f"{reply.text}\n\n{note}" if reply.text else note, choices=choices, state=state)

    def _languages(self) -> Reply:
        return replace(shared_flow.languages(self.language), state=self.state.change(pending=None))

    def _change_language(self, code: str) -> Reply:
        """In the new language at once, with the last answer again: that is why people change it."""
        if code not in SPOKEN:
            if code not in KNOWN:
                return self._over()
            text = say(self.language, "language.not_spoken", language=phrases.language_name(code, self.language))
            return replace(self._languages(), text=text, intent=f"change_language:{code}")
        self.language = code
        text = say(code, "language.changed")
        entry = self.actions.find_entry(self.state.last_entry) if self.state.last_entry else None
        if entry and entry.shown:
            reply = self._answer(entry)
            return replace(reply, text=f"{text}\n\n{reply.text}", intent=f"change_language:{code}")
        state = self.state.change(pending=None)
        return self._reply(text, intent=f"change_language:{code}", choices=self._topic_choices(), state=state)

    def _topics(self) -> Reply:
        return self._reply(say(self.language, "topics"), intent="help", choices=every_topic_button(self.language))

    def _topic(self, rest: str) -> Reply:
        topic, _, offset = rest.partition(":")
        entries = entries_of(topic, self.actions)
        start = int(offset) if offset.isdecimal() and len(offset) < 4 else 0
        page = entries[start : start + _TOPIC_PAGE]
        if not page:
            return self._over()
        more = (self._choice("topic", f"{topic}:{start + _TOPIC_PAGE}", key="more"),)
        return self._reply(
            say(self.language, "topic.which", topic=say(self.language, f"topic.{topic}")),
            intent="help",
            choices=(
                *self._entry_choices(page),
                *(more if len(entries) > start + _TOPIC_PAGE else ()),
                self._choice("topics"),
                self._choice("human"),
            ),
            state=self._fresh(offered=tuple(entry.id for entry in page)),
        )

    def _topic_choices(self) -> tuple[Choice, ...]:
        return topic_buttons(self.language)

    def _over(self) -> Reply:
        return self._reply(say(self.language, "over"), intent="none", choices=self._topic_choices())

    def _anything_else(self) -> Reply:
        choices = (self._choice("topics"), self._choice("human"))
        state = self.state.change(pending=None)
        return self._reply(say(self.language, "anything_else"), intent="no", choices=choices, state=state)

    def _fresh(
        self, *, last_entry: str | None = None, offered: tuple[str, ...] = (), others: tuple[str, ...] = ()
    ) -> DialogueState:
        question = self.turn.incoming.message_id if self.turn.incoming.choice is None else self.state.question_id
        kept = self.state.last_entry if last_entry is None else last_entry
        changes = {"last_entry": kept, "last_variant": "full", "offered": offered, "others": others}
        return self.state.change(**changes, question_id=question, pending=None, misses=0)

    def _choice(self, name: str, rest: str = "", *, key: str | None = None) -> Choice:
        return button(self.language, name, rest, key=key)

    def _entry_choices(self, entries: Iterable[Entry]) -> tuple[Choice, ...]:
        return entry_buttons(self.language, entries)

    def _reply(self, text: str, *, intent: str, state: DialogueState | None = None, **more: object) -> Reply:
        kept = self.state.change(pending=None) if state is None else state
        return Reply(language=self.language, text=text, intent=intent, state=kept, **more)  # type: ignore[arg-type]
