"""What commands read from the published marts, and a mail to look at before anyone gets it."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import duckdb

from closedloop.errors import BadInput
from closedloop.programme import Survey, load_surveys
from closedloop.settings import Settings
from closedloop.spreadsheets import FORMULA, NUMBER


def marts(settings: Settings) -> duckdb.DuckDBPyConnection:
    """The published marts, read only. Raises BadInput when nothing is published yet."""
    if not settings.marts_file.exists():
        raise BadInput(
            "nothing is published in this home yet", file=settings.marts_file, remedy="run `closedloop build` first"
        )
    return duckdb.connect(str(settings.marts_file.resolve()), read_only=True)


def rows(con: duckdb.DuckDBPyConnection, query: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
    """The rows of a query as dicts; times are aware UTC."""
    result = con.execute(query, parameters or [])
    names = [column[0] for column in result.description]
    return [
        {
            name: value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) else value
            for name, value in zip(names, row, strict=True)
        }
        for row in result.fetchall()
    ]


def is_published(settings: Settings, subject: str, subject_id: str) -> bool | None:
    """Whether the newest publication has this contact, account or survey; None where nothing is published."""
    if not settings.marts_file.exists():
        return None
    with marts(settings) as con:
        return _knows(con, subject, subject_id)


def _knows(con: duckdb.DuckDBPyConnection, subject: str, subject_id: str) -> bool:
    query = f"select 1 from marts.dim_{subject}s where {subject}_id = ?"
    return con.execute(query, [subject_id]).fetchone() is not None


def demand(con: duckdb.DuckDBPyConnection, subject: str, subject_id: str) -> None:
    """Raises BadInput where the newest publication has no such contact or survey."""
    if not _knows(con, subject, subject_id):
        raise BadInput(
            f"there is no {subject} '{subject_id}' in the newest publication",
            field=f"--{subject}",
            remedy=f"marts.dim_{subject}s lists them; what came since is known after the next `closedloop build`",
        )


def cannot_write(output: Path, error: OSError) -> BadInput:
    """What to say when a file or folder that somebody named cannot be written."""
    return BadInput(f"cannot be written ({error.strerror})", file=output, remedy="choose another file or folder")


def _without_formulas(con: duckdb.DuckDBPyConnection, mart: str) -> str:
    """A query for the mart in which no text is a formula: an apostrophe stands before it, so that it is read as text."""
    texts = con.execute(
        "select column_name from information_schema.columns "
        "where table_schema = 'marts' and table_name = ? and data_type = 'VARCHAR' order by ordinal_position",
        [mart],
    ).fetchall()
    safe = ", ".join(
        f"""case when regexp_matches("{name}", '{FORMULA}') and not regexp_matches("{name}", '{NUMBER}')
            then '''' || "{name}" else "{name}" end as "{name}\""""
        for (name,) in texts
    )
    return f"select * replace ({safe}) from marts.{mart}" if safe else f"from marts.{mart}"


def export_mart(settings: Settings, mart: str, output: Path) -> int:
    """Write one published mart as CSV or Parquet (by the file's ending); returns its rows. CSV is for people and their
    spreadsheets, so no cell of it is a formula; Parquet is for programs and holds all texts as they are.
    """
    with marts(settings) as con:
        known = [
            name
            for (name,) in con.execute(
                "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
            ).fetchall()
        ]
        if mart not in known:
            raise BadInput(f"there is no mart '{mart}'", remedy=f"choose one of: {', '.join(known)}")
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.open("ab").close()
        except OSError as error:
            raise cannot_write(output, error) from None
        is_parquet = output.suffix == ".parquet"
        kind = "(format parquet)" if is_parquet else "(format csv, header)"
        source = f"from marts.{mart}" if is_parquet else _without_formulas(con, mart)
        target = str(output).replace("'", "''")
        written = con.execute(f"copy ({source}) to '{target}' {kind}").fetchone()
        return written[0] if written else 0


def find_survey(settings: Settings, survey_id: str) -> Survey:
    """The programme of this id. Raises BadInput, which names those that there are."""
    surveys = {survey.id: survey for survey in load_surveys(settings.surveys)}
    if survey_id not in surveys:
        raise BadInput(f"there is no survey '{survey_id}'", field="id", remedy=f"choose one of: {', '.join(surveys)}")
    return surveys[survey_id]


def sample_message(survey: Survey, address: str) -> dict[str, Any]:
    """An invitation for a made-up person; its links lead to no invitation and record nothing."""
    payload = {
        "email": address,
        "first_name": "Sam",
        "last_name": "Sample",
        "contact_name": "Sam Sample",
        "language": "en",
        "time_zone": "UTC",
        "account_name": "Sample Company",
        "company": survey.company,
        "survey_type": survey.type,
        "trigger_event": survey.triggers[0].event if survey.triggers else "",
        "trigger_record_id": "sample",
        "owner_name": "Robin Rep",
        "owner_email": "robin.rep@closedloop.example",
        "definition": survey.model_dump(mode="json"),
    }
    return {
        "message_id": f"sample-{survey.id}",
        "invitation_id": f"sample-{survey.id}",
        "survey_id": survey.id,
        "wave_id": "sample",
        "contact_id": "sample",
        "account_id": None,
        "kind": "invitation",
        "sequence": 0,
        "payload": payload,
    }


def test_send(settings: Settings, survey_id: str, address: str) -> None:
    """Send one sample invitation to `address`; it stands in no book.

    Raises BadInput for an address that may not get mail, MailServerUnavailable when the mail was not accepted.
    """
    from dispatch.rendering import render_invitation
    from dispatch.signing import signer
    from dispatch.smtp import MailServerUnavailable, SmtpSession

    survey = find_survey(settings, survey_id)
    if not settings.may_receive(address):
        raise BadInput(
            "live sending is off, and the allow-list does not have this address",
            field="--to",
            remedy="add it to CLOSEDLOOP_ALLOWED_RECIPIENTS (a JSON list)",
        )
    # Each one is a mail of its own: mailboxes show a second one with the same Message-ID never.
    message = sample_message(survey, address) | {"message_id": f"sample-{uuid.uuid4().hex}"}
    parts = render_invitation(message, settings=settings)
    session = SmtpSession(settings.smtp_url)
    try:
        outcome = session.deliver(parts.envelope_from, parts.recipients, signer(settings)(parts.as_bytes()))
    finally:
        session.close()
    if outcome.state != "sent":
        raise MailServerUnavailable(f"the mail server did not take the mail ({outcome.reason})")
