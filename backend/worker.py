"""Worker composition root: what happens without anybody asking, as jobs in PostgreSQL (Procrastinate)."""

import asyncio
import contextlib
import logging
import signal
from datetime import UTC, datetime, timedelta

import uvloop
from procrastinate import App, PsycopgConnector

from backend.booking import expire_holds
from backend.chat import find_unanswered, finish_turn
from backend.config import Settings
from backend.db import plain_url
from backend.interpreter import interpret
from backend.logs import set_up_logging
from backend.people import enforce_retention, erase_forgotten
from backend.queue_mail import alert_desks, mail_about_new
from backend.queue_watch import Patience, escalate, new_since, release_abandoned, renew_broken
from backend.reminders import remind
from backend.services import Services, open_services
from backend.telegram_service import Telegram
from backend.waiting_list import pass_on_expired

log = logging.getLogger(__name__)


def create_jobs(services: Services) -> App:
    """The jobs; `services.settings.database_url` must be set."""
    url = plain_url(str(services.settings.database_url))
    app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=3))

    @app.periodic(cron="* * * * * */15")
    @app.task(name="finish_turns", queueing_lock="finish_turns", pass_context=False)
    async def finish_turns(timestamp: int) -> int:
        """A message stored by a process that died before it answered is answered now: nothing is lost."""
        waiting = await find_unanswered(services.engine, older_than_s=10)
        if waiting:  # so seldom that the index is built for the occasion, from the entries as they are now
            await services.shelf.load()
        for stored in waiting:
            await finish_turn(services.chat, stored)
        if waiting:
            log.info("answered %d messages that a stopped process had left", len(waiting))
        return len(waiting)

    @app.periodic(cron="* * * * * */15")
    @app.task(name="forget", queueing_lock="forget", pass_context=False)
    async def forget(timestamp: int) -> int:
        """Chats that were to be forgotten when they are closed."""
        erased = await erase_forgotten(services.sessions)
        if erased:
            log.info("erased %d conversations that were closed", erased)
        return erased

    @app.periodic(cron="* * * * * */15")
    @app.task(name="watch_queue", queueing_lock="watch_queue", pass_context=False)
    async def watch_queue(timestamp: int) -> None:
        """Nobody is forgotten: operators who are gone, promises that broke or are about to."""
        settings, now = services.settings, services.now()
        patience = Patience(settings.operator_gone_minutes, settings.first_reply_minutes, settings.alert_minutes)
        released = await release_abandoned(services.sessions, patience, now)
        renewed = await renew_broken(services.sessions, now)
        late = await escalate(services.sessions, patience, now)
        if released or renewed or late:
            log.info(
                "queue: %d put back, %d promises renewed, %d about to break", released, renewed, sum(late.values())
            )
        await alert_desks(services, late)

    @app.periodic(cron="* * * * * */30")
    @app.task(name="remind", queueing_lock="remind", pass_context=False)
    async def remind_people(timestamp: int) -> int:
        """Of their visits, a day and two hours before."""
        reminded = await remind(services.sessions, services.now())
        if reminded:
            log.info("reminded %d people of their visit", reminded)
        return reminded

    @app.periodic(cron="* * * * * */15")
    @app.task(name="pass_on_offers", queueing_lock="pass_on_offers", pass_context=False)
    async def pass_on_offers(timestamp: int) -> int:
        """A free time that somebody did not answer to is offered to the next one who waits."""
        return await pass_on_expired(services.sessions, services.now())

    @app.periodic(cron="* * * * *")
    @app.task(name="expire_holds", queueing_lock="expire_holds", pass_context=False)
    async def clear_holds(timestamp: int) -> int:
        """Times that somebody looked at and did not book."""
        async with services.sessions.begin() as session:
            return await expire_holds(session, services.now())

    @app.periodic(cron="* * * * *")
    @app.task(name="mail_new", queueing_lock="mail_new", pass_context=False)
    async def mail_new(timestamp: int) -> None:
        """One mail a minute at most to each operator who wants to know of new people."""
        now = datetime.fromtimestamp(timestamp, UTC)
        await mail_about_new(services, await new_since(services.sessions, now - timedelta(minutes=1), now))

    @app.periodic(cron="17 3 * * *")
    @app.task(name="retention", queueing_lock="retention", pass_context=False)
    async def retention(timestamp: int) -> None:
        """What has reached its age, and finished jobs, are deleted."""
        erased = await enforce_retention(services.sessions, services.settings, now=services.now())
        log.info("retention: %s", ", ".join(f"{count} {what}" for what, count in erased.items()))
        await app.job_manager.delete_old_jobs(
            nb_hours=24, include_failed=True, include_cancelled=True, include_aborted=True
        )

    return app


async def work(settings: Settings) -> None:
    """Runs until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with_telegram = settings.telegram_token is not None  # whose messages are answered here
    async with open_services(settings, with_library=with_telegram) as services:
        jobs = create_jobs(services)
        async with jobs.open_async():
            beside = [asyncio.create_task(interpret(services.sessions, services.hub, services.translator))]
            if with_telegram:
                beside.append(asyncio.create_task(Telegram(services).run()))
            running = asyncio.create_task(jobs.run_worker_async(concurrency=2, install_signal_handlers=False))
            stopping = asyncio.create_task(stop.wait())
            log.info("worker ready")
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            for task in beside:
                task.cancel()
            if running.done():  # the queue failed: say so and let the supervisor start us again
                running.result()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await asyncio.gather(*beside, return_exceptions=True)


def main() -> None:
    settings = Settings()
    set_up_logging(settings.log_level)
    uvloop.run(work(settings))


if __name__ == "__main__":
    main()
