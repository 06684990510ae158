"""What the platform does, one function a step: the command line and the Dagster jobs both call these and nothing below.

The edge passes the time; nothing here reads a clock.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closedloop.clock import Clock
from closedloop.errors import BadInput, Refused
from closedloop.lake import Lake
from closedloop.ledger import Ledger, followups
from closedloop.ledger import builds as ledger_builds
from closedloop.ledger.lists import suppress
from closedloop.ledger.planning import Sealed
from closedloop.ledger.reconcile import reconcile as by_evidence
from closedloop.ledger.reminders import plan_reminders
from closedloop.ledger.showing import close_expired
from closedloop.ledger.webhooks import forget_delivered
from closedloop.locks import only_one
from closedloop.programme import load_surveys
from closedloop.settings import Crm, Settings, webhook_named
from orchestration import build as workshop
from orchestration.from_crm import record_from_crm
from orchestration.publish import mend_link, publish, withdraw_planned
from orchestration.seal import seal_publication

if TYPE_CHECKING:
    from closedloop.ledger.reconcile import Reconciled
    from dispatch.crm import Sink, WriteBackReport
    from dispatch.personal_links import Exported
    from dispatch.sender import SendReport
    from dispatch.webhooks import WebhookReport
    from ingestion.sources.bounces import BounceReport
    from ingestion.sources.changes import Reader
    from ingestion.sources.crm import CrmReport
    from ingestion.sources.responses import ResponseReport
    from ingestion.sources.suppressions import SuppressionReport
    from ingestion.sources.tools import Asked
    from orchestration.gates import CheckOutcome

Progress = Callable[[str], None]
DELIVERIES_KEPT = dt.timedelta(days=90)
"""So long the webhooks' book knows what was delivered."""


@dataclass
class FollowedUp:
    """What one run of the follow-up did; mails are planned first and sent at its end."""

    answers: int
    opened: int
    planned: dict[str, int]
    sla_warning: int
    escalation: int
    sequence_mails: int


def ingest_crm(
    settings: Settings, folder: Path, *, now: dt.datetime, mapping: Path | None = None, progress: Progress | None = None
) -> CrmReport:
    """Read the export folder(s) below `folder` into the lake; CRM opt-outs become suppressions at once."""
    from ingestion.sources.crm import ingest_crm as read
    from ingestion.sources.mapping import load_mapping

    settings.ensure_home()
    with Lake.open(settings) as lake, Ledger.open(settings) as ledger:
        report = read(
            lake,
            folder,
            load_mapping(mapping or settings.mapping),
            now=now,
            max_deletion_share=settings.max_deletion_share,
            progress=progress,
        )
        suppress(ledger, report.opted_out_keys, "opted_out", now=now)
        report.warnings += record_from_crm(settings, lake, ledger, now=now)
        return report


@dataclass
class ChangesReport:
    """What was fetched of each object, and what became of it in the lake."""

    fetched: dict[str, int]
    warnings: list[str]
    stopped: str | None
    crm: CrmReport | None
    """None when nothing changed."""


def ingest_changes(
    settings: Settings,
    crm: Crm,
    *,
    clock: Clock,
    full: bool = False,
    only: Sequence[str] = (),
    progress: Progress | None = None,
) -> ChangesReport:
    """Read what changed in a CRM into the lake, where it goes on from. What was read until the CRM was away or a limit
    reached is loaded all the same; `stopped` says so. Raises BadInput for a login or an object that is refused."""
    from ingestion.sources.changes import fetch
    from ingestion.sources.mapping import load_mapping

    reader, mapping = crm_reader(settings, crm), load_mapping(settings.mapping)
    settings.ensure_home()
    alone = only_one(settings.home / f"{crm}.lock", busy=f"another process reads {reader.name} for this home")
    with alone, tempfile.TemporaryDirectory(dir=settings.home) as folder:
        with Lake.open(settings) as lake:
            found = fetch(reader, lake, mapping, Path(folder), now=clock.now(), full=full, only=only, progress=progress)
        report = None
        if any(found.records.values()):
            report = ingest_crm(settings, Path(folder), now=clock.now(), progress=progress)
    return ChangesReport(found.records, found.warnings, found.stopped, report)


def crm_reader(settings: Settings, crm: Crm) -> Reader:
    """The source of a CRM. Raises BadInput when it is not set up, or refuses the login."""
    if crm == "hubspot":
        from closedloop import hubspot
        from ingestion.sources.hubspot import HubSpotReader

        return HubSpotReader(hubspot.connect(settings))
    from closedloop.salesforce import connect
    from ingestion.sources.salesforce import SalesforceReader

    return SalesforceReader(connect(settings))


def ingest_responses(settings: Settings, file: Path, *, now: dt.datetime) -> ResponseReport:
    """Read answers of another tool from a CSV file into the lake."""
    from ingestion.sources.responses import ingest_responses as read

    settings.ensure_home()
    with Lake.open(settings) as lake:
        return read(lake, file, now=now)


def ingest_tool(settings: Settings, tool: str, file: Path, *, asked: Asked, now: dt.datetime) -> ResponseReport:
    """Read answers as another tool exports them; `line` in quarantine is the number of the record, the header counted."""
    from ingestion.sources.responses import ingest_responses as read
    from ingestion.sources.tools import convert

    settings.ensure_home()
    with tempfile.TemporaryDirectory() as folder, Lake.open(settings) as lake:
        converted = Path(folder) / file.name
        convert(tool, file, converted, asked)
        return read(lake, converted, now=now)


def ingest_bounces(settings: Settings, *, now: dt.datetime) -> BounceReport:
    """Read the mailbox of bounces: hard ones and complaints suppress their addresses. Raises BadInput when none is set."""
    from ingestion.sources.bounces import ingest_bounces as read

    if not settings.bounce_mailbox:
        raise BadInput(
            "no mailbox of bounces is set",
            field="CLOSEDLOOP_BOUNCE_MAILBOX",
            remedy="write maildir:///path or imaps://user:password@host/INBOX",
        )
    settings.ensure_home()
    with Ledger.open(settings) as ledger:
        return read(ledger, settings.bounce_mailbox, now=now)


def import_suppressions(
    settings: Settings, file: Path, *, author: str, column: str | None = None, now: dt.datetime
) -> SuppressionReport:
    """Never write to the addresses of another tool's list; those that are suppressed already keep their reason."""
    from ingestion.sources.suppressions import read_suppressions

    if not author.strip():
        raise BadInput("needed to suppress addresses", field="author", remedy="say who decided")
    settings.ensure_home()
    with Lake.open(settings) as lake, Ledger.open(settings) as ledger:
        report = read_suppressions(lake, file, column=column, now=now)
        report.loaded = suppress(ledger, report.keys, "imported", author=author, now=now)
        report.check()
        return report


def start_build(settings: Settings, *, as_of: dt.datetime, known_at: dt.datetime, now: dt.datetime) -> workshop.Build:
    """Fix what a build stands on and prepare the workshop; holds the builder's lock until `publish` or `fail_build`."""
    mend_link(settings)
    return workshop.start_build(settings, as_of=as_of, known_at=known_at, now=now)


def repeat_build(settings: Settings, publication_id: str, *, now: dt.datetime) -> workshop.Build:
    """Prepare the workshop on exactly what `publication_id` stood on: its times and its cut of the lake."""
    with Ledger.open(settings) as ledger:
        publication = ledger_builds.get_publication(ledger, publication_id)
        if publication is None:
            raise BadInput(f"there is no publication '{publication_id}'", remedy="publication_audit lists them all")
        old = ledger_builds.get_build(ledger, publication["build_id"])
    return workshop.start_build(settings, as_of=old["as_of"], known_at=old["known_at"], now=now, cut=old["cut"])


def run_gate(
    settings: Settings, build_id: str, gate: str, *, as_of: dt.datetime, now: dt.datetime
) -> list[CheckOutcome]:
    """Run one gate over the workshop and record what it found. The caller stops when a required check failed."""
    from orchestration import gates

    workshop.claim_workshop(settings, build_id)
    outcomes = gates.run_gate(settings, gate, build_id=build_id, as_of=as_of)
    with Ledger.open(settings) as ledger:
        ledger_builds.record_checks(
            ledger,
            build_id,
            [
                {
                    "name": outcome.name,
                    "gate": outcome.gate,
                    "required": outcome.required,
                    "passed": outcome.passed,
                    "details": outcome.details,
                }
                for outcome in outcomes
            ],
            now=now,
        )
    return outcomes


def build(
    settings: Settings,
    *,
    as_of: dt.datetime | None = None,
    known_at: dt.datetime | None = None,
    now: Callable[[], dt.datetime],
    like: str | None = None,
    progress: Progress | None = None,
) -> str:
    """Export of the ledger, dbt, checks, publication: the whole of it from a shell. Returns the publication's id.

    The two times are the build's start where they are not given. `like` names a publication whose times and cut are repeated. Raises Refused when a check failed.
    """
    from orchestration.dbt import run_dbt

    say = progress or (lambda _: None)
    say("preparing the workshop")
    began = now()
    prepared = (
        repeat_build(settings, like, now=began)
        if like
        else start_build(settings, as_of=as_of or began, known_at=known_at or began, now=began)
    )
    try:
        for gate, step in (("arrived", None), ("dbt", run_dbt), ("sending", None), ("published", None)):
            say(f"gate: {gate}" if step is None else "dbt build")
            if step is not None:
                failed, page = step(settings, prepared.build_id, now=now()), "logs/dbt/dbt.log"
            else:
                outcomes = run_gate(settings, prepared.build_id, gate, as_of=prepared.as_of, now=now())
                failed, page = failed_checks(outcomes, with_counts=True), f"docs/{gate}.html"
            if failed:
                further = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
                raise Refused(
                    f"gate '{gate}' failed: {', '.join(failed[:5])}{further}; nothing is published, readers keep what "
                    f"they have\n  what to do: {settings.home / page} tells what was found"
                )
        say("publishing")
        return publish(settings, prepared.build_id, now=now())
    except BaseException:
        workshop.fail_build(settings, prepared.build_id, now=now())
        raise


def seal(settings: Settings, publication_id: str | None = None, *, now: dt.datetime) -> Sealed:
    """Make the proposals of a publication (the newest one by default) decisions, and its asks messages."""
    with Ledger.open(settings) as ledger:
        newest = ledger_builds.newest_publication(ledger)
        unknown = publication_id is not None and ledger_builds.get_publication(ledger, publication_id) is None
    if newest is None:
        raise Refused("nothing is published yet; run `closedloop build` first")
    if unknown:
        raise BadInput(f"there is no publication '{publication_id}'", remedy="leave it out: then it is the newest one")
    publication_id = publication_id or newest["publication_id"]
    return seal_publication(settings, publication_id, now=now)


def dispatch(settings: Settings, *, clock: Clock, progress: Callable[..., None] | None = None) -> SendReport:
    """Send what is due: invitations that were sealed, reminders (planned here), and alerts. First what is uncertain is
    looked at once more: an open or an answer may have proved it since."""
    from dispatch.sender import send_due

    surveys = load_surveys(settings.surveys)
    with Ledger.open(settings) as ledger:
        resolved = by_evidence(ledger, now=clock.now())
        close_expired(ledger, now=clock.now())
        reminders = plan_reminders(ledger, surveys, now=clock.now())
        if reminders:  # since the last publication nobody withdrew them
            withdraw_planned(settings, ledger, now=clock.now())
        report = send_due(ledger, settings, surveys, clock=clock, progress=progress)
        report.reminders = reminders
        report.reconciled = resolved.sent_by_events
        return report


def hand_out_links(
    settings: Settings,
    survey_id: str,
    folder: Path,
    *,
    qr: bool = False,
    blocks: bool = False,
    again: bool = False,
    now: dt.datetime,
    progress: Callable[..., None] | None = None,
) -> Exported:
    """Write the personal links of a survey that wait to be handed out by the company itself; see `export_links`."""
    from dispatch.personal_links import export_links
    from orchestration.reports import find_survey

    survey = find_survey(settings, survey_id)
    surveys = {one.id: one for one in load_surveys(settings.surveys)}
    settings.ensure_home()
    with Ledger.open(settings) as ledger:
        close_expired(ledger, now=now)
        return export_links(
            ledger, settings, survey, surveys, folder, now=now, qr=qr, blocks=blocks, again=again, progress=progress
        )


def turn_sending(settings: Settings, *, on: bool, by: str, reason: str = "", now: dt.datetime) -> bool:
    """Switch all sending on or off; a run under way stops before its next group. Returns whether that changed anything."""
    from closedloop.ledger.switches import SENDING, turn

    settings.ensure_home()
    with Ledger.open(settings) as ledger:
        return turn(ledger, SENDING, on=on, by=by, reason=reason, now=now)


def reconcile(settings: Settings, *, log: Path | None = None, complete: bool = False, now: dt.datetime) -> Reconciled:
    """Resolve uncertain messages by our own events, and by the mail server's log where one is given."""
    from dispatch.serverlog import read_log

    settings.ensure_home()
    evidence = read_log(log, complete=complete, now=now) if log else None
    with Ledger.open(settings) as ledger:
        return by_evidence(ledger, log=evidence, now=now)


def follow_up(settings: Settings, *, clock: Clock) -> FollowedUp:
    """Let the workflows see each new answer, watch the clocks of follow-ups, move sequences on, and send the mails of all that.

    Human answers come from the ledger at once; provisional ones follow when the published marts have confirmed them.
    """
    from dispatch.clocks import watch_clocks
    from dispatch.followup import run_follow_up
    from dispatch.sequences import advance_sequences
    from orchestration.knowledge import confirmed_among, knowledge_of

    surveys, now = load_surveys(settings.surveys), clock.now()
    knowledge = knowledge_of(settings)
    with Ledger.open(settings) as ledger:
        confirmed = confirmed_among(settings, followups.unconfirmed(ledger))
        report = run_follow_up(ledger, settings, surveys, now=now, confirmed=confirmed, knowledge=knowledge)
        called = watch_clocks(ledger, settings, surveys, now=now, knowledge=knowledge)
        mails = advance_sequences(ledger, surveys, now=now, knowledge=knowledge)
    dispatch(settings, clock=clock)
    return FollowedUp(**vars(report), **called, sequence_mails=mails)


def write_back(
    settings: Settings, *, clock: Clock, progress: Callable[[WriteBackReport], None] | None = None
) -> WriteBackReport:
    """Tell the CRM what the workflows planned for it. Raises BadInput for a mapping that is wrong, or without a sink."""
    from dispatch.crm import load_write_back
    from dispatch.crm import write_back as write

    sink, mapping = crm_sink(settings, now=clock.now()), load_write_back(settings.write_back)
    settings.ensure_home()
    alone = only_one(settings.home / "write-back.lock", busy="another write-back is at work on this home")
    with alone, Ledger.open(settings) as ledger:
        return write(ledger, sink, mapping, clock=clock, progress=progress)


def crm_sink(settings: Settings, *, now: dt.datetime) -> Sink:
    """The sink that the settings name. Raises BadInput when there is none, or Salesforce refuses the login."""
    from dispatch.crm.files import FileSink

    if settings.crm_sink == "none":
        raise BadInput(
            "actions for the CRM go nowhere", field="CLOSEDLOOP_CRM_SINK", remedy="set it to files, or to your CRM"
        )
    if settings.crm_sink == "salesforce":
        from closedloop.salesforce import connect
        from dispatch.crm.salesforce import SalesforceSink

        return SalesforceSink(connect(settings), now=now)
    if settings.crm_sink == "hubspot":
        from closedloop import hubspot
        from dispatch.crm.hubspot import HubSpotSink

        return HubSpotSink(hubspot.connect(settings), now=now)
    return FileSink(settings.home / "outbox")


@dataclass
class Told:
    """What one run told others: events to endpoints of webhooks, and lines to chats by how they ended."""

    webhooks: WebhookReport
    chats: dict[str, int]


def deliver_webhooks(settings: Settings, *, clock: Clock) -> Told:
    """Send what is due to the endpoints of `CLOSEDLOOP_WEBHOOKS`, and post what waits for a chat: each at least once."""
    from dispatch.chat import send_chats
    from dispatch.webhooks import send_webhooks

    settings.ensure_home()
    with Ledger.open(settings) as ledger:
        return Told(send_webhooks(ledger, settings, clock=clock), send_chats(ledger, settings, clock=clock))


def replay_webhooks(
    settings: Settings,
    endpoint: str,
    first: int | dt.datetime,
    last: int | dt.datetime | None,
    *,
    now: dt.datetime,
    only_failed: bool = False,
) -> int:
    """Let events wait to be sent again to one endpoint, those from before it was set too; how many. Ends are numbers of the
    ledger or times (UTC), both included. Raises BadInput for an unknown endpoint."""
    from closedloop.ledger.webhooks import Range, enqueue, replay

    found = webhook_named(settings, endpoint)
    settings.ensure_home()
    with Ledger.open(settings) as ledger:
        enqueue(ledger, settings.webhooks, now=now)
        return replay(ledger, found, Range(first, last), now=now, only_failed=only_failed)


def tidy(settings: Settings, *, wall_time: dt.datetime) -> dict[str, int]:
    """Upkeep of the lake: compact small files, drop snapshots that no kept publication stands on, remove their files. And of
    the webhooks' book: what was delivered long ago leaves it.

    What was current before the compaction stays until the next upkeep: a build that is under way may read its files.
    `wall_time` is the real time: files younger than an hour may belong to a commit under way and stay.
    """
    from orchestration.publish import kept_publications

    with Lake.open(settings) as lake, Ledger.open(settings) as ledger:
        forgotten = forget_delivered(ledger, before=wall_time - DELIVERIES_KEPT)
        current = set(lake.cut().values())
        compacted = sum(lake.compact(table) for table in lake.tables())
        kept = kept_publications(settings)
        keep = current | {
            snapshot
            for build in ledger_builds.list_builds(ledger, limit=1000)
            if build["state"] == "running" or build["build_id"] in kept
            for snapshot in build["cut"].values()
        }
        return {
            "files_compacted": compacted,
            "snapshots_dropped": lake.expire(keep),
            "files_removed": lake.remove_unreferenced(before=wall_time - dt.timedelta(hours=1)),
            "deliveries_forgotten": forgotten,
        }


def open_dev_target(settings: Settings, *, as_of: dt.datetime) -> Path:
    """An analyst's own warehouse file over the newest cut; a running daemon is not disturbed. Returns its path."""
    with Lake.open(settings) as lake:
        prepared = workshop.Build(
            "dev", as_of, as_of, lake.cut(), workshop.definitions_hash(load_surveys(settings.surveys)), "dev"
        )
        warehouse = settings.home / "dev.duckdb"
        workshop.open_workshop(lake, prepared, warehouse, settings.home / "dev-marts.duckdb")
    return warehouse


def plan(
    settings: Settings,
    file: Path | None,
    *,
    as_of: dt.datetime | None,
    now: dt.datetime,
    days: int = 30,
    by: str = "tier",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Whom the programmes of the folder (with that of `file` in place of its namesake) would ask, and whom not."""
    from orchestration.plan import load_planned
    from orchestration.plan import plan as play

    surveys, changed = load_planned(settings, file)
    return play(
        settings,
        surveys,
        as_of=as_of or now,
        now=now,
        as_if_active=changed.id if changed else None,
        only=changed.id if changed else None,
        by=by,
        days=days,
        progress=progress,
    )


def what_if(
    settings: Settings,
    survey_id: str,
    changes: Mapping[str, Any],
    *,
    first: dt.date,
    last: dt.date,
    alone: bool,
    now: dt.datetime,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Play days through under changed rules, and under today's. `changes` are named as the options of the command."""
    from orchestration.what_if import OVERRIDES
    from orchestration.what_if import what_if as play

    return play(
        settings,
        load_surveys(settings.surveys),
        survey_id,
        {OVERRIDES[name]: value for name, value in changes.items()},
        first=first,
        last=last,
        alone=alone,
        now=now,
        progress=progress,
    )


def newest_publication(settings: Settings) -> dict[str, Any] | None:
    """The newest publication's row, or None."""
    with Ledger.open(settings) as ledger:
        return ledger_builds.newest_publication(ledger)


def failed_checks(outcomes: Iterable[CheckOutcome], *, with_counts: bool = False) -> list[str]:
    """Names of the required checks that failed, with how many rows of how many where asked for."""
    return [
        outcome.name
        + (
            f" ({outcome.details['violations']:,} of {outcome.details['evaluated']:,} rows)"
            if with_counts and outcome.details.get("violations") and outcome.details.get("evaluated")
            else ""
        )
        for outcome in outcomes
        if outcome.required and not outcome.passed
    ]
