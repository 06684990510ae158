"""Bad input through the real command line: each fault is named with file, line, field and remedy, and the rest is kept.

Exit code 2 says that input was bad, 1 that something failed. No call shows a traceback or anything personal (see
`CommandLine.run`). The room tests have more of each kind; here it is seen that it reaches the user.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from command_line import PERSONAL, CommandLine
from ledger_world import candidate, plan
from mail_server import MailServer

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.settings import Settings
from orchestration.build import hold_workshop, release_workshop

pytestmark = pytest.mark.slow

NAME, MAIL = f"{PERSONAL} Müller", f"{PERSONAL.lower()}@customer.example"
DAMAGED: dict[str, bytes] = {
    # duplicate ids, a date in another format, an empty needed field
    "Account.csv": (
        f"Id,Name,RenewalDate__c,SystemModstamp\na1,{NAME},2027-01-01,2026-01-02\na1,{NAME} old,2027-01-01,2025-01-02\n"
        f"a2,{NAME},31.12.2026,2026-01-02\n,{NAME},2027-01-01,2026-01-02\na3,{NAME},,2026-01-02\n"
    ).encode(),
    # references to nothing
    "Contact.csv": f"Id,AccountId,LastName,Email\nc1,a1,{NAME},{MAIL}\nc2,nowhere,{NAME},{MAIL}\n".encode(),
    "User.csv": f"Id,Name,Email\nu1,{NAME},{MAIL}\n".encode("latin-1"),
    "Opportunity.csv": f"Id,AccountId,Name\no1,a1,{NAME}\n".encode("utf-8-sig"),
    "OpportunityContactRole.csv": b"Id;OpportunityId;ContactId\nr1;o1;c1\n",
    "Case.csv": b"",
    "Order.csv": f"Id~AccountId~Status\nd1~a1~{NAME}\n".encode(),
    "OrderItem.csv": b"Id,OrderId,Quantity\n",
    "Product2.csv": f"Id,Name,ProductCode\np1,Basic,B\np2,{NAME},B\np3,{PERSONAL}".encode(),
    "Contract.csv": b"Idd,AccountId\nk1,a1\n",
    "Task.csv": b'Id,Subject\nt1,Call\nt2,"never closed\nt3,Call\n',
    "Asset.csv": b"PK\x03\x04 a workbook",
    "Notes.csv": b"Id\nn1\n",
}
SURVEY = """\
id: post-close
name: Post-Close
type: transactional
status: active
company: Northwind Cloud
triggers:
  - event: deal_won
    delay_days: 3
"""


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


def export(folder: Path, files: dict[str, bytes], day: str = "2026-01-10", **manifest: str) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "export.json").write_text(json.dumps({"exported_at": f"{day}T02:00:00Z", "mode": "full"} | manifest))
    return folder


def messages(stderr: str, kind: str) -> dict[str, tuple[str, str]]:
    """By place (file:line [field]) what is wrong there and what to do."""
    found, lines = {}, stderr.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(f"{kind}: "):
            place, _, problem = line.removeprefix(f"{kind}: ").rpartition("/")[2].partition(": ")
            following = lines[number + 1] if number + 1 < len(lines) else ""
            found[place] = (problem, following.partition("what to do: ")[2])
    return found


# CRM exports ---------------------------------------------------------------------------------------------------------


def test_a_damaged_export_is_told_fault_by_fault_and_the_rest_is_kept(cli: CommandLine, tmp_path: Path) -> None:
    folder = export(tmp_path / "one", DAMAGED)
    done = cli.run("ingest", "crm", folder, "--json", code=2)
    assert PERSONAL not in done.stdout
    report = json.loads(done.stdout)["objects"]
    counts = {name: (o["rows_read"], o["loaded"], o["quarantined"]) for name, o in report.items()}
    assert counts == {
        "account": (5, 2, {"duplicate_id": 1, "bad_date": 1, "required_empty": 1}),
        "contact": (2, 2, {}),
        "user": (1, 1, {}),
        "opportunity": (1, 1, {}),
        "opportunity_contact_role": (1, 1, {}),
        "case": (0, 0, {}),
        "order": (1, 0, {"missing_column": 1}),
        "order_item": (0, 0, {}),
        "product": (3, 2, {"truncated_row": 1}),
        "contract": (1, 0, {"missing_column": 1}),
        "task": (2, 1, {"unclosed_quote": 1}),
        "asset": (0, 0, {}),
    }

    errors = messages(done.stderr, "error")
    assert set(errors) == {
        "Case.csv", "Order.csv:1 [Id]", "Product2.csv:4", "Contract.csv:1 [Id]", "Task.csv:3", "Asset.csv",
    }  # fmt: skip
    assert all(problem and remedy for problem, remedy in errors.values())
    assert "is empty" in errors["Case.csv"][0] and "workbook" in errors["Asset.csv"][0]
    assert "'Idd' is like it" in errors["Contract.csv:1 [Id]"][1]
    assert "truncated" in errors["Product2.csv:4"][0] and "export again" in errors["Product2.csv:4"][1]

    warnings = messages(done.stderr, "warning")
    assert "Latin-1" in warnings["User.csv"][0]
    assert "semicolon" in warnings["OpportunityContactRole.csv:1"][0]
    assert "not read" in warnings["Notes.csv"][0]
    assert "refer to records of account that do not exist" in warnings["Contact.csv [AccountId]"][0]
    assert "orphans: quarantine" in warnings["Contact.csv [AccountId]"][1]

    assert cli.lake("select Name from lake.crm_user") == [(NAME,)]
    waiting = "select file, line, field, reason, problem <> '' and remedy <> '' from lake.quarantine_rows order by all"
    assert cli.lake(waiting) == [
        ("one/Account.csv", 3, "Id", "duplicate_id", True),
        ("one/Account.csv", 4, "RenewalDate__c", "bad_date", True),
        ("one/Account.csv", 5, "Id", "required_empty", True),
        ("one/Asset.csv", None, "", "unreadable_file", True),
        ("one/Case.csv", None, "", "unreadable_file", True),
        ("one/Contract.csv", None, "Id", "missing_column", True),
        ("one/Order.csv", None, "Id", "missing_column", True),
        ("one/Product2.csv", 4, "", "truncated_row", True),
        ("one/Task.csv", 3, "", "unclosed_quote", True),
    ]

    # The same again changes nothing and is told again; for a person the counts stand on standard output.
    again = cli.run("ingest", "crm", folder, code=2)
    assert "account" in again.stdout and "error:" not in again.stdout
    assert cli.lake("select count(*) from lake.quarantine_rows") == [(9,)]
    assert cli.lake("select count(*) from lake.crm_account") == [(2,)]

    # The mended export brings what waited, and takes nothing away that only waited.
    mended = export(
        tmp_path / "two",
        {
            "Account.csv": b"Id,Name,RenewalDate__c,SystemModstamp\na1,A,2027-01-01,2026-01-02\n"
            b"a2,B,2026-12-31,2026-01-02\na3,C,,2026-01-02\n",
            "Contact.csv": DAMAGED["Contact.csv"].replace(b"nowhere", b"a2"),
            "Product2.csv": b"Id,Name,ProductCode\np1,Basic,B\np2,Pro,B\np3,Max,B\n",
        },
        day="2026-01-11",
    )
    report = json.loads(cli.run("ingest", "crm", mended, "--json").stdout)
    assert report["errors"] == [] and report["objects"]["product"]["loaded"] == 2
    assert cli.lake("select distinct Id, _op from lake.crm_account order by 1") == [
        ("a1", "upsert"), ("a2", "upsert"), ("a3", "upsert"),
    ]  # fmt: skip


def test_a_missing_file_and_a_renamed_column_keep_what_was_known(cli: CommandLine, tmp_path: Path) -> None:
    good = {"Account.csv": b"Id,Name,Tier__c\na1,A,SMB\n", "Contact.csv": b"Id,AccountId,Email\nc1,a1,x@y.example\n"}
    cli.run("ingest", "crm", export(tmp_path / "1", good))
    renamed = {**good, "Account.csv": b"Id,Name,Tier_c\na1,A,SMB\na2,B,SMB\n"}
    done = cli.run("ingest", "crm", export(tmp_path / "2", renamed, "2026-01-11"), code=2)
    problem, remedy = messages(done.stderr, "error")["Account.csv:1 [Tier__c]"]
    assert "'Tier__c' is missing" in problem and "'Tier_c' is like it" in remedy
    done = cli.run("ingest", "crm", export(tmp_path / "3", {"Contact.csv": good["Contact.csv"]}, "2026-01-12"), code=2)
    problem, remedy = messages(done.stderr, "error")["Account.csv"]
    assert "'account' is missing" in problem and "export it too" in remedy
    assert cli.lake("select Id, Tier__c, _op from lake.crm_account") == [("a1", "SMB", "upsert")]


def test_no_export_to_read(cli: CommandLine, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert f"error: {missing}: no such folder" in cli.refused("ingest", "crm", missing)
    (tmp_path / "bare").mkdir()
    assert "put files such as Account.csv" in cli.refused("ingest", "crm", tmp_path / "bare")
    folder = export(tmp_path / "export", {"Account.csv": b"Id,Name\na,A\n"})
    for text, place in [
        ('{"exported_at":\n "2026-01', "export.json:2: cannot be read as JSON"),
        ('{"exported_at": "2026-01-01", "mode": "some"}', "export.json [mode]: is neither full nor delta"),
    ]:
        (folder / "export.json").write_text(text)
        said = cli.refused("ingest", "crm", folder)
        assert place in said and 'what to do: write {"exported_at"' in said
    mapping = tmp_path / "mine.yml"
    mapping.write_text("name: mine\nobjects:\n  account:\n    file: Account.csv\n    feilds: {Id: id}\n")
    said = cli.refused("ingest", "crm", folder, "--mapping", mapping)
    assert "mine.yml:5 [objects.account.feilds]" in said and "what to do:" in said
    assert not (cli.home / "lake" / "warehouse").exists()


# Answers of other tools ----------------------------------------------------------------------------------------------

COLUMNS = "external_id,survey,survey_type,contact_email,score,scale,comment,submitted_at"


def answers(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([COLUMNS, *rows, ""]), encoding="utf-8")
    return path


def test_answers_are_loaded_or_wait_and_never_vanish(cli: CommandLine, tmp_path: Path) -> None:
    scores = ["10.0", '" 9 "', "", "11", "-1", "abc", "6.5", "0", "7.00"]
    rows = [
        f"s{n},old-tool,relationship,{MAIL},{score},,{NAME},2026-01-0{n + 1}T09:00:00Z"
        for n, score in enumerate(scores)
    ]
    at = "2026-01-01T09:00:00Z"
    rows += [
        f"five,old-tool,relationship,{MAIL},5,1-5,,{at}",
        f"six,old-tool,relationship,{MAIL},6,1-5,,{at}",
        f"stars,old-tool,relationship,{MAIL},5,stars,,{at}",
        f"s0,old-tool,relationship,{MAIL},3,,twice,{at}",
        f",old-tool,relationship,{MAIL},3,,no id,{at}",
        f"when,old-tool,relationship,{MAIL},3,,,yesterday",
        f"never,old-tool,relationship,{MAIL},3,,,",
        f"type,old-tool,survey,{MAIL},3,,,{at}",
        f"short,old-tool,relationship,{MAIL}",
    ]
    file = answers(tmp_path / "answers.csv", *rows)
    report = json.loads(cli.run("ingest", "responses", file, "--json").stdout)
    expected = {
        "duplicate_external_id": 1, "external_id_missing": 1, "score_out_of_range": 3, "score_not_a_number": 1,
        "score_not_whole": 1, "unknown_scale": 1, "bad_submitted_at": 1, "submitted_at_missing": 1,
        "unknown_survey_type": 1, "malformed_row": 1,
    }  # fmt: skip
    assert report["reasons"] == expected
    assert (report["rows_read"], report["loaded"], report["unanswered"], report["quarantined"]) == (18, 5, 1, 12)
    assert cli.lake("select external_id, score, scale from lake.responses_imported order by source_line") == [
        ("s0", "10", "0-10"), ("s1", "9", "0-10"), ("s2", "", "0-10"), ("s7", "0", "0-10"), ("s8", "7", "0-10"),
        ("five", "5", "1-5"),
    ]  # fmt: skip
    assert cli.lake("select line, field from lake.quarantine_rows where reason = 'score_not_whole'") == [(8, "score")]

    again = cli.run("ingest", "responses", file).stdout
    assert "loaded             0\n" in again and "unchanged          6\n" in again and "new in quarantine  0" in again
    assert cli.lake("select count(*) from lake.responses_imported") == [(6,)]

    # Another content under a known id is a new version of that answer.
    file = answers(tmp_path / "later.csv", rows[0].replace("10.0", "4"), rows[1])
    report = json.loads(cli.run("ingest", "responses", file, "--json").stdout)
    assert (report["loaded"], report["unchanged"]) == (1, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, ["answers.csv: cannot be read (No such file or directory)"]),
        (b"", ["answers.csv: the file is empty"]),
        (COLUMNS.replace("score", "scores").encode(), ["answers.csv:1 [score]", "rename 'scores'"]),
        (b"id,stars\n1,5\n", ["answers.csv:1 [external_id]", "add it"]),
        (b"PK\x03\x04", ["answers.csv: this is a workbook"]),
    ],
    ids=["missing", "empty", "renamed", "other", "workbook"],
)
def test_a_file_of_answers_that_is_none(cli: CommandLine, tmp_path: Path, content: bytes | None, said: list) -> None:
    file = tmp_path / "answers.csv"
    if content is not None:
        file.write_bytes(content)
    shown = cli.refused("ingest", "responses", file)
    assert all(words in shown for words in [*said, "what to do: "]), shown


# Programmes and settings ---------------------------------------------------------------------------------------------


def test_a_broken_survey_stops_what_would_use_it(cli: CommandLine, tmp_path: Path) -> None:
    surveys = tmp_path / "surveys"
    surveys.mkdir()
    for text, place in [
        (SURVEY.replace("delay_days: 3", "delay_days: soon"), "post-close.yml:8 [triggers.0.delay_days]: "),
        (SURVEY.replace("status: active", "status: [active"), "post-close.yml:5: not valid YAML"),
        (SURVEY + "colour: red\n", "post-close.yml:9 [colour]: "),
    ]:
        (surveys / "post-close.yml").write_text(text)
        said = cli.refused("survey", "validate", CLOSEDLOOP_SURVEYS=str(surveys))
        assert place in said and "what to do: " in said
    said = cli.run("build", code=2, CLOSEDLOOP_SURVEYS=str(surveys)).stderr
    assert place in said
    assert not (cli.home / "published" / "marts.duckdb").exists()
    assert "CLOSEDLOOP_SURVEYS" in cli.refused("survey", "validate", CLOSEDLOOP_SURVEYS=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WAVE_APPROVAL_SIZE", "many"),
        ("ENGINE", "big"),
        ("SMTP_URL", f"smtp://user:{PERSONAL}/pass@mail.example:25"),
        ("LEDGER_URL", f"oracle://user:{PERSONAL}@db.example/x"),
        ("ALLOWED_RECIPIENTS", f"{PERSONAL}@customer.example"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(cli: CommandLine, name: str, value: str) -> None:
    said = cli.refused("books", **{f"CLOSEDLOOP_{name}": value})
    assert name.lower() in said.lower() and "what to do: " in said


# The machine ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("serve collector --port PORT", "--port"),
        ("serve mailbox --port PORT", "--port"),
        ("serve mailbox --port 0", "CLOSEDLOOP_SMTP_URL"),
        ("serve dashboard --port PORT", "--port"),
        ("up --ui-port PORT", "--ui-port"),
    ],
)
def test_a_port_in_use_is_named(cli: CommandLine, words: str, remedy: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        smtp = {} if "PORT" in words else {"CLOSEDLOOP_SMTP_URL": f"smtp://127.0.0.1:{port}"}
        said = cli.refused(*words.replace("PORT", port).split(), **smtp)
    assert port in said and remedy in said.partition("what to do: ")[2]


def test_a_port_that_is_none(cli: CommandLine) -> None:
    assert "99999" in cli.run("up", "--ui-port", "99999", code=2).stderr


COMMANDS_THAT_WRITE = (
    "books", "dispatch", "build", "seal", "follow-up", "exclude list", "ingest responses answers.csv",
    "demo --contacts 50",
)  # fmt: skip


@pytest.fixture
def read_only_home(cli: CommandLine, tmp_path: Path) -> Iterator[list[str]]:
    """What to put before a command so that it finds the home on a read-only mount, or in a folder without permission."""
    cli.home.mkdir()
    (tmp_path / "answers.csv").write_text(f"{COLUMNS}\n")
    mount = f"mount -t tmpfs -o ro none {cli.home}"
    if (
        shutil.which("unshare")
        and not subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode
    ):
        yield ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    elif os.geteuid() != 0:
        cli.home.chmod(0o500)
        yield []
        cli.home.chmod(0o700)
    else:
        pytest.skip("this root may neither mount nor be kept from writing")


def test_a_home_that_cannot_be_written(cli: CommandLine, tmp_path: Path, read_only_home: list[str]) -> None:
    running = {
        words: subprocess.Popen(
            [*read_only_home, *cli.command(*words.split())],
            env=cli.environment,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in COMMANDS_THAT_WRITE
    }
    for words, process in running.items():
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 2, (words, said)
        assert f"error: {cli.home}: the home folder cannot be written" in said, words
        assert "what to do: set CLOSEDLOOP_HOME to a folder on a writable disk" in said and "Traceback" not in said


def test_a_second_sender_and_a_server_that_is_gone(tmp_path: Path) -> None:
    server = MailServer()
    cli = CommandLine(tmp_path / "home", CLOSEDLOOP_SMTP_URL=server.url)
    settings = Settings(home=cli.home, _env_file=None)
    settings.ensure_home()
    now = Clock().now()
    with Ledger.open(settings) as ledger:
        plan(ledger, [candidate(f"{PERSONAL.lower()}{number}", now=now) for number in range(3)], now=now)

    gone = cli.refused("dispatch", code=1, CLOSEDLOOP_SMTP_URL="smtp://127.0.0.1:1")
    assert "127.0.0.1:1 cannot be used" in gone and "stays pending" in gone

    at_work, go_on = threading.Event(), threading.Event()

    def wait(phase: str, _: str) -> None:
        if phase == "body":
            at_work.set()
            go_on.wait(60)

    server.on = wait
    first = subprocess.Popen(cli.command("dispatch", "--json"), env=cli.environment, stdout=subprocess.PIPE, text=True)
    try:
        assert at_work.wait(60)
        said = cli.refused("dispatch", code=1)
        assert "another sender is at work" in said and "what to do: " in said
    finally:
        go_on.set()
        shown = first.communicate(timeout=60)[0]
        server.close()
    assert first.returncode == 0 and json.loads(shown)["sent"] == 3
    assert set(server.accepted.values()) == {1}
    total = json.loads(cli.run("books", "--json").stdout)["total"]
    assert (total["planned"], total["sent"], total["pending"]) == (3, 3, 0)


def test_a_second_builder(cli: CommandLine) -> None:
    settings = Settings(home=cli.home, _env_file=None)
    settings.ensure_home()
    hold_workshop(settings)
    try:
        assert "another build is at work" in cli.run("build", code=1).stderr
    finally:
        release_workshop(settings)


def test_a_demo_keeps_off_a_home_that_it_did_not_make(cli: CommandLine) -> None:
    cli.home.mkdir()
    (cli.home / "precious.txt").write_text("data")
    said = cli.run("demo", "--contacts", "50", code=2).stderr
    assert "no demo made" in said and "what to do: set CLOSEDLOOP_HOME" in said
    assert [path.name for path in cli.home.iterdir()] == ["precious.txt"]


# Unknown names -------------------------------------------------------------------------------------------------------


UNKNOWN = [
    ("follow-up contacted nobody --by kim", "no follow-up of this invitation"),
    ("follow-up outcome nobody resolved --by kim", "no follow-up of this invitation"),
    ("exclude remove contact nobody", "not on the exclusion list"),
    ("survey preview nothing --output mail.html", "no survey 'nothing'"),
    ("survey preview post-close --output no/such/folder/mail.html", "cannot be written"),
    ("survey test-send nothing --to me@example.com", "no survey 'nothing'"),
    ("survey test-send post-close --to me@elsewhere.test", "CLOSEDLOOP_ALLOWED_RECIPIENTS"),
    ("approve-wave nothing --by kim", "no wave 'nothing'"),
    ("publish nothing", "no build 'nothing'"),
    ("explain --contact nobody", "nothing is published"),
    ("export rpt_nps nps.csv", "nothing is published"),
    ("export rpt_nps nps.xlsx", "must end in .csv or .parquet"),
]


def test_what_is_not_there_is_named(cli: CommandLine) -> None:
    with ThreadPoolExecutor(3) as several:
        shown = several.map(lambda one: cli.refused(*one[0].split()), UNKNOWN)
        for (words, problem), text in zip(UNKNOWN, shown, strict=True):
            assert problem in text and "what to do: " in text, words
    # An unknown id may be excluded beforehand: it may come with the next export.
    cli.run("exclude", "add", "contact", "nobody", "--reason", "asked by phone", "--author", "kim")
    assert "nobody" in cli.run("exclude", "list").stdout
