"""A desk's manager sets up appointments and changes hours under visits, in a browser without JavaScript."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import select, update

from backend import booking
from backend.booking import Wish
from backend.conversations import open_conversation
from backend.db import Sessions
from backend.desk_examples import seed_demo_hours
from backend.models import AppointmentKind, Desk
from tests.appointments import ROME
from tests.browser.stack import Office, Stack, new_office
from tests.browser.test_first_answer import widest

pytestmark = pytest.mark.browser
Visit = Callable[..., BrowserContext]
SIZES = {1280: 900, 820: 1100, 375: 740}


@dataclass
class Manager:
    """Signed in, at one screen."""

    office: Office
    page: Page
    width: int
    desk: str

    def open(self, path: str) -> None:
        self.page.goto(f"{self.office.url}{self.desk}/{path}")

    def shot(self, name: str) -> None:
        """Nothing may be wider than the screen."""
        assert widest(self.page) <= self.width, name
        self.page.screenshot(path=self.office.shots / f"setup-{name}-{self.width}.png", full_page=True)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()


@pytest.fixture(scope="module")
def office(stack: Stack) -> Iterator[Office]:
    """With its examples, as on a new machine."""
    with new_office(stack, "Sportello nuovo") as made:
        made.run(_examples)
        yield made


async def _examples(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await seed_demo_hours(session)


def manager(office: Office, context: BrowserContext, width: int, language: str = "it") -> Manager:
    office.sign_in(context, "Anna", role="desk_manager", language=language)
    return Manager(office, context.new_page(), width, f"/console/desks/{office.desk}")


def next_tuesday() -> datetime:
    today = datetime.now(UTC).astimezone(ROME).date()
    day = today + timedelta(days=(1 - today.weekday()) % 7 or 7)
    return datetime.combine(day, time(10), ROME)


def book_two(office: Office) -> None:
    """One in a conversation, one without."""

    async def work(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            here = update(Desk).where(Desk.id == office.desk)
            await session.execute(here.values(holidays="", most_visits=50))
            kinds = select(AppointmentKind).where(AppointmentKind.desk_id == office.desk)
            kind = (await session.execute(kinds.order_by(AppointmentKind.id))).scalars().first()
            assert kind is not None
        who = (await open_conversation(sessions, channel="web", language="ar")).id
        now, start = datetime.now(UTC), next_tuesday()
        for at, conversation in ((start, who), (start + timedelta(hours=1), None)):
            wish = Wish(kind.desk_id, kind.id, at, "ar", conversation_id=conversation)
            await booking.book(sessions, wish, "Amina", now)

    office.run(work)


@pytest.mark.parametrize("width", SIZES)
def test_a_manager_sets_up_a_desk_and_closes_a_day_under_two_visits(visit: Visit, office: Office, width: int) -> None:
    context = visit(viewport={"width": width, "height": SIZES[width]}, java_script_enabled=False)
    here = manager(office, context, width)
    here.open("booking")
    expect(here.page.locator("h1")).to_have_text("Appuntamenti: che cosa si prenota")
    here.shot("booking")

    here.page.get_by_role("link", name="Nuovo tipo di appuntamento").click()
    here.page.locator("#name-it").fill(f"Corso di italiano {width}")
    here.page.locator("summary", has_text="العربية").click()
    here.page.locator("#name-ar").fill("دورة في اللغة الإيطالية")
    here.page.locator("#minutes").fill("90")
    here.page.locator("#window_days").fill("1")
    here.page.locator("#lead_minutes").fill("2000")
    here.shot("kind")
    here.press("Salva")
    expect(here.page.get_by_role("alert")).to_contain_text("non si potrebbe mai prenotare")
    expect(here.page.locator("#name-ar")).to_have_value("دورة في اللغة الإيطالية")
    here.page.locator("#window_days").fill("30")
    here.press("Salva")
    expect(here.page.get_by_role("status")).to_be_visible()
    expect(here.page.locator("article", has_text=f"Corso di italiano {width}")).to_contain_text("90")

    here.page.get_by_role("link", name="Aggiungi una persona, una stanza o un interprete").click()
    here.page.get_by_label("Interprete", exact=True).check()
    here.page.locator("#name").fill(f"Samia {width}")
    here.page.get_by_label("arabo", exact=True).check()
    here.page.get_by_label("In orari propri").check()
    here.page.locator('[name="from-1-0"]').fill("09:00")
    here.page.locator('[name="until-1-0"]').fill("12:00")
    here.shot("resource")
    here.press("Salva")
    expect(here.page.locator("article", has_text=f"Samia {width}")).to_contain_text("arabo")

    book_two(office)
    here.open("hours")
    here.shot("hours")
    day = next_tuesday().date().isoformat()
    here.page.locator("#first").fill(day)
    here.page.locator("#note").fill("Riunione")
    here.page.locator('form[action$="/days"] button').click()
    expect(here.page.locator("h1")).to_have_text("Che cosa ne è di questi appuntamenti?")
    expect(here.page.locator("[data-visit]")).to_have_count(2)
    expect(here.page.locator("[data-visit]").nth(1)).to_contain_text("da qui non si può avvisare nessuno")
    here.shot("question")
    here.press("Torna indietro senza cambiare nulla")
    expect(here.page.locator("#note")).to_have_value("Riunione")
    here.page.locator('form[action$="/days"] button').click()
    here.page.locator('[data-visit] input[value="ask"]').check()
    here.press("Cambia e avvisa le persone")
    expect(here.page.locator("[data-visit]").nth(1)).to_contain_text("Scegli che cosa ne è")
    here.shot("question-again")
    here.page.locator('[data-visit] input[value="cancel"]').nth(1).check()
    here.press("Cambia e avvisa le persone")
    expect(here.page.get_by_role("status")).to_be_visible()

    here.open("stranded")
    expect(here.page.locator("[data-visit]")).to_have_count(1)
    expect(here.page.locator("[data-visit]")).to_contain_text("è stato chiesto di scegliere un altro orario")
    here.shot("stranded")
    here.page.locator('[data-visit] input[value="cancel"]').check()
    here.press("Fai come ho scelto")
    expect(here.page.locator("[data-visit]")).to_have_count(0)
    here.open("hours")
    here.page.locator('form[action$="/days/remove"] button').click()


def test_the_pages_are_mirrored_in_arabic(visit: Visit, office: Office) -> None:
    here = manager(office, visit(viewport={"width": 375, "height": 740}), 375, "ar")
    for path in ("booking", "booking/new-kind", "booking/new-resource", "stranded"):
        here.open(path)
        expect(here.page.locator("html")).to_have_attribute("dir", "rtl")
        here.shot(f"arabic-{path.replace('/', '-')}")
