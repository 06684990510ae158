"""The sender: takes what is due from the ledger, hands it to the mail server, writes down what became of it.

The promise: a message is handed over at most once unless it is proven not accepted, and none disappears. So every
group is marked 'handed' on disk before the server sees it, and its results are on disk before the next group goes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from closedloop.clock import Clock
from closedloop.errors import Busy, ClosedLoopError
from closedloop.ledger import Ledger, delivery
from closedloop.ledger.delivery import BY_SENDER, Result
from closedloop.ledger.limits import destination
from closedloop.ledger.rows import chunks
from closedloop.programme import Survey
from closedloop.settings import Settings
from dispatch.journal import Journal, read_flights
from dispatch.lock import sender_lock
from dispatch.signing import signer
from dispatch.sms import SmsSession
from dispatch.smtp import MailServerUnavailable, Outcome, SmtpSession

if TYPE_CHECKING:
    from dispatch.rendering import EmailParts, TextParts

GROUP = 128
"""Messages under way at once: two commits for each group. After the death of a sender one per connection is uncertain, after
that of its machine at most so many."""
CLAIM = 2 * GROUP
"""Messages taken from the ledger at a time: each one's payload is parsed, and in memory."""
MAX_LOST = 5
"""After so many lost connections in a row the run ends; what is left stays pending."""
RECORD_TRIES = 4
"""So often the results of a group are written; each try waits half a minute for whoever holds the ledger."""
PATIENT_TRIES = 3
"""So often a message waits for a copy that is refused for now; then it goes to whom it is for, without that copy."""
FIRST_RETRY, LAST_RETRY = dt.timedelta(minutes=1), dt.timedelta(hours=1)
FIRST_RETRY_AFTER = {450: dt.timedelta(minutes=5), 451: dt.timedelta(minutes=5), 452: dt.timedelta(minutes=15)}
"""Greylisting lets in who comes back after some minutes; a full mailbox or disk takes longer. Each further try waits twice
as long, an hour at most."""
BUSY_AFTER = 3
"""After so many refusals for now in a row, the other mails to a recipient's domain wait too, as long as the last of them."""

Message = Mapping[str, Any]
Renderer = Callable[..., "EmailParts | TextParts"]
Session = SmtpSession | SmsSession


@dataclass
class SendReport:
    """What one run did. `deferred` were not accepted now and will be tried again; `held` wait, by reason, such as business
    hours. `reminders` were planned, and `reconciled` were uncertain until an event proved that they came, just before."""

    sent: int = 0
    rejected: int = 0
    uncertain: int = 0
    deferred: int = 0
    reminders: int = 0
    reconciled: int = 0
    suppressed: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    recovered: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def handled(self) -> int:
        """Messages that were handed over or failed to be."""
        return self.sent + self.rejected + self.uncertain + self.deferred


@dataclass(frozen=True)
class _Mail:
    message: Message
    sender: str
    recipients: Sequence[str]
    data: bytes


def send_due(
    ledger: Ledger,
    settings: Settings,
    surveys: Iterable[Survey],
    *,
    clock: Clock,
    renderer: Renderer | None = None,
    limit: int | None = None,
    progress: Callable[[SendReport], None] | None = None,
    connections: int | None = None,
    timeout: float = 30.0,
) -> SendReport:
    """Send all that is due now, alerts first, at most `limit` messages; `progress` is called after each group.

    First cleans up after a sender that died, by what its journal says. `renderer(message, settings=...)` makes the mail; `connections` to the
    server (by default as many as the settings say) are used side by side; `timeout` is in seconds per answer. Raises Busy when another sender is at work on
    this home, BadInput when the key that signs mail cannot be used, MailServerUnavailable when the server cannot be used: all results so far are kept, the rest is pending.
    """
    with sender_lock(settings):
        alone = ledger.engine.dialect.name == "sqlite"
        began = clock.now()
        run = _Run(ledger, settings, {survey.id: survey for survey in surveys}, clock, renderer or _render)
        journal = settings.home / "sender.journal"
        run.report.recovered = delivery.recover(ledger, now=began, alone=alone, flights=read_flights(journal))
        run.journal = Journal(journal, run.owner)
        run.open_sessions(connections or settings.smtp_connections, timeout)
        try:
            run.send(limit, progress or (lambda _: None))
            if run.down is not None:
                raise run.down
        finally:
            for session in (one for sessions in run.sessions.values() for one in sessions):
                session.close()
            run.journal.close()
            run.report.seconds = (clock.now() - began).total_seconds()
        return run.report


class _Run:
    """One run of the sender."""

    def __init__(
        self, ledger: Ledger, settings: Settings, surveys: dict[str, Survey], clock: Clock, renderer: Renderer
    ) -> None:
        self.ledger, self.settings, self.surveys = ledger, settings, surveys
        self.clock, self.render = clock, renderer
        self.sign = signer(settings)
        self.owner = uuid.uuid4().hex
        self.report = SendReport()
        self.sessions: dict[str, list[Session]] = {}
        """The open ways out, by channel."""
        self.down: MailServerUnavailable | None = None
        """Why text messages stay pending while mails go on."""
        self.journal: Journal
        self.lost = 0
        self.refusals: Counter[str] = Counter()
        """Refusals for now in a row, by recipient domain."""
        self.busy: dict[str, dt.datetime] = {}
        """Recipient domains that get nothing more for now, and until when."""

    def open_sessions(self, count: int, timeout: float) -> None:
        """One set of connections for each channel that is set up."""
        self.sessions["email"] = [SmtpSession(self.settings.smtp_url, timeout=timeout) for _ in range(count)]
        if self.settings.sms_url:
            self.sessions["sms"] = [SmsSession(self.settings.sms_url, timeout=timeout)]

    def send(self, limit: int | None, progress: Callable[[SendReport], None]) -> None:
        for wave in delivery.pending_waves(self.ledger):
            after: str | None = ""
            while after is not None:
                room = CLAIM if limit is None else min(CLAIM, limit - self.report.handled)
                if room <= 0:
                    return
                claimed = delivery.claim(
                    self.ledger,
                    wave,
                    surveys=self.surveys,
                    settings=self.settings,
                    owner=self.owner,
                    now=self.clock.now(),
                    after=after,
                    limit=room,
                    channels=tuple(self.sessions),
                )
                after = claimed.last
                _add(self.report.suppressed, claimed.suppressed)
                _add(self.report.held, claimed.held)
                try:
                    for channel in BY_SENDER:
                        ours = [row for row in claimed.messages if channel_of(row) == channel]
                        for group in chunks(ours, GROUP):
                            self._send_group(group, channel)
                            progress(self.report)
                except MailServerUnavailable as error:
                    delivery.release(self.ledger, owner=self.owner)
                    if channel == "email":
                        raise
                    for session in self.sessions.pop(channel):  # mails go on
                        session.drop()
                    self.lost, self.down = 0, error
                except BaseException:
                    delivery.release(self.ledger, owner=self.owner)
                    raise

    def _send_group(self, group: list[dict[str, Any]], channel: str) -> None:
        sessions = self.sessions[channel]
        sessions[0].connect()  # nothing is marked as handed over as long as no one is there to take it
        mails = self._render_all(self._not_busy(group))
        if not mails:
            return
        ours = set(
            delivery.hand_over(
                self.ledger,
                [mail.message["message_id"] for mail in mails],
                owner=self.owner,
                now=self.clock.now(),
                suppressed=self.report.suppressed,
            )
        )
        results, failure = self._transmit(sessions, [mail for mail in mails if mail.message["message_id"] in ours])
        self._record(results)
        self.journal.clear()
        if failure is not None:
            raise failure
        if self.lost >= MAX_LOST:
            raise MailServerUnavailable(
                f"the {_SERVER[channel]} closed the connection {self.lost} times in a row; what is left stays pending\n"
                "  what to do: look at its log, then dispatch again"
            )

    def _not_busy(self, group: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The messages of a group but for those to domains that take nothing now, which wait for them."""
        now = self.clock.now()
        self.busy = {domain: until for domain, until in self.busy.items() if until > now}
        if not self.busy:
            return group
        waits = {row["message_id"]: until for row in group if (until := self.busy.get(destination(row)))}
        self._record([Result(message_id, "pending", DOMAIN_BUSY, until) for message_id, until in waits.items()])
        return [row for row in group if row["message_id"] not in waits]

    def _note_refusal(self, message: Message, outcome: Outcome, retry_at: dt.datetime | None) -> None:
        domain = destination(message)
        if outcome.state != "pending" or outcome.is_connection_lost or retry_at is None:
            self.refusals.pop(domain, None)
            return
        self.refusals[domain] += 1
        if self.refusals[domain] >= BUSY_AFTER:
            self.busy[domain] = retry_at

    def _render_all(self, group: list[dict[str, Any]]) -> list[_Mail]:
        """A message that cannot be rendered is rejected with the reason; the others go on. Raises OSError."""
        mails, refused = [], []
        for message in group:
            try:
                parts = self.render(message, settings=self.settings)
                data = parts.as_bytes(date=self.clock.now())
                data = self.sign(data) if channel_of(message) == "email" else data
                mails.append(_Mail(message, parts.envelope_from, list(parts.recipients), data))
            except OSError:
                raise  # the disk or the system fails us: no fault of the message, which stays pending
            except Exception as error:
                refused.append(Result(message["message_id"], "rejected", f"cannot be rendered: {_in_words(error)}"))
        self._record(refused)
        return mails

    def _transmit(self, sessions: list[Session], mails: list[_Mail]) -> tuple[list[Result], BaseException | None]:
        """Hand the mails over, spread over the connections. Each gives a result, whatever happens."""
        if len(sessions) == 1:
            parts = [self._transmit_by(sessions[0], mails)]
        else:
            count = len(sessions)
            with ThreadPoolExecutor(count) as pool:
                parts = list(pool.map(self._transmit_by, sessions, [mails[i::count] for i in range(count)]))
        failures = [failure for _, failure in parts if failure is not None]
        return [result for results, _ in parts for result in results], failures[0] if failures else None

    def _transmit_by(self, session: Session, mails: list[_Mail]) -> tuple[list[Result], BaseException | None]:
        results: list[Result] = []
        for number, mail in enumerate(mails):
            if until := self.busy.get(destination(mail.message)):  # since this group was marked
                results.append(Result(mail.message["message_id"], "pending", DOMAIN_BUSY, until))
                continue
            try:
                if self.lost >= MAX_LOST:
                    raise MailServerUnavailable("the mail server keeps closing the connection")
                patient = mail.message["attempts"] < PATIENT_TRIES
                begin = partial(self.journal.begin, mail.message["message_id"])
                outcome = session.deliver(
                    mail.sender, mail.recipients, mail.data, wait_for_copies=patient, before_data=begin
                )
                self.journal.end(mail.message["message_id"], outcome)
            except MailServerUnavailable as error:
                # Not one byte of these was shown to the server.
                results += [self._result(rest.message, _NOT_TRIED) for rest in mails[number:]]
                return results, error if self.lost < MAX_LOST else None
            except BaseException as stop:  # Ctrl-C, a run that is canceled: what is known is written down first
                session.drop()
                results.append(self._result(mail.message, _INTERRUPTED))
                results += [self._result(rest.message, _NOT_TRIED) for rest in mails[number + 1 :]]
                return results, stop
            self.lost = self.lost + 1 if outcome.is_connection_lost else 0
            results.append(self._result(mail.message, outcome))
        return results, None

    def _result(self, message: Message, outcome: Outcome) -> Result:
        retry_at = None
        if outcome.state == "pending":
            first = FIRST_RETRY_AFTER.get(outcome.code or 0, FIRST_RETRY)
            wait = min(first * 2 ** min(message["attempts"], 10), LAST_RETRY)
            retry_at = None if outcome is _NOT_TRIED else self.clock.now() + wait
        self._note_refusal(message, outcome, retry_at)
        return Result(message["message_id"], outcome.state, outcome.reason, retry_at)

    def _record(self, results: list[Result]) -> None:
        if not results:
            return
        for tries_left in range(RECORD_TRIES - 1, -1, -1):
            try:
                counts = delivery.record_results(self.ledger, results, owner=self.owner, now=self.clock.now())
                break
            except Busy:  # without these results, what the server has accepted would stay in doubt for good
                if not tries_left:
                    raise
        self.report.sent += counts.get("sent", 0)
        self.report.rejected += counts.get("rejected", 0)
        self.report.uncertain += counts.get("uncertain", 0)
        self.report.deferred += counts.get("pending", 0)


_SERVER = {"email": "mail server", "sms": "SMS provider"}
_NOT_TRIED = Outcome("pending", "mail server not available")
DOMAIN_BUSY = "the recipient's mail server takes nothing for now"
_INTERRUPTED = Outcome("uncertain", delivery.STOPPED)


def channel_of(message: Message) -> str:
    """The way out of a message; alerts are mails."""
    return "email" if message["kind"] == "alert" else message["channel"]


def _render(message: Message, *, settings: Settings) -> EmailParts | TextParts:
    from dispatch.rendering import render_alert, render_invitation, render_reply, render_text_message

    if channel_of(message) == "sms":
        return render_text_message(message, settings=settings)
    render = {"alert": render_alert, "reply": render_reply}.get(message["kind"], render_invitation)
    return render(message, settings=settings)


def _in_words(error: Exception) -> str:
    """Our own errors name a field and never a value; of others only the kind is safe to keep."""
    return str(error).splitlines()[0] if isinstance(error, ClosedLoopError) else type(error).__name__


def _add(into: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        into[name] = into.get(name, 0) + count
