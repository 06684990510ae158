"""Series of exports: only changes and deletions land, old and suspicious ones wait, the same again changes nothing."""

from __future__ import annotations

from closedloop.identity import person_key

HEAD = "Id,Name,OwnerId,SystemModstamp,CreatedDate\n"
NEWEST = """select Id, Name, _op from lake.crm_account
    qualify row_number() over (partition by Id order by _exported_at desc) = 1 order by Id"""


def account(*rows: str) -> dict[str, str]:
    return {"Account.csv": HEAD + "".join(f"{row}\n" for row in rows), "Contact.csv": "Id,AccountId,Email\n"}


def line(key: str, name: str, day: int = 1) -> str:
    return f"{key},{name},u1,2026-01-{day:02}T00:00:00.000Z,2025-01-01"


def test_a_full_export_adds_changes_and_deletions_only(exports, rows) -> None:
    first = exports.take("2026-01-01", account(*(line(f"a{n}", "A") for n in range(10))))
    assert (first.loaded, first.unchanged, first.deleted) == (10, 0, 0)
    second = exports.take(
        "2026-01-02", account(line("a0", "B", 2), *(line(f"a{n}", "A") for n in range(1, 9)), line("b", "New"))
    )
    assert (second.loaded, second.unchanged, second.deleted) == (2, 8, 1)
    assert rows(
        "select Id, Name, _op, IsDeleted, SystemModstamp from lake.crm_account where _exported_at > '2026-01-02' order by Id"
    ) == [
        ("a0", "B", "upsert", None, "2026-01-02T00:00:00.000Z"),
        ("a9", "A", "delete", "true", "2026-01-02T02:00:00.000Z"),
        ("b", "New", "upsert", None, "2026-01-01T00:00:00.000Z"),
    ]
    assert rows("select _source from lake.crm_account where Id = 'b'") == [("2026-01-02/Account.csv",)]


def test_the_same_exports_again_change_nothing(exports, lake) -> None:
    exports.write("2026-01-01", account(line("a", "A"), line("b", "B"), ",no id,,,"))
    exports.write("2026-01-02", account(line("a", "A2"), line("b", "B"), ",no id,,,"))
    first = exports.ingest()
    assert (first.exports, first.rows_read, first.loaded, first.quarantined) == (2, 6, 3, {"required_empty": 2})
    cut = lake.cut()
    again = exports.ingest()
    assert lake.cut() == cut
    assert (again.loaded, again.unchanged, again.quarantined, again.new_in_quarantine) == (
        0,
        4,
        {"required_empty": 2},
        0,
    )


def test_a_series_lands_as_if_taken_one_by_one(exports, rows, lake) -> None:
    exports.write("2026-01-01", account(*(line(f"a{n}", "A") for n in range(10))))
    exports.write("2026-01-02", account(line("a1", "B"), line("x", "X")), mode="delta")
    exports.write("2026-01-03", account(*(line(f"a{n}", "A") for n in range(1, 10)), line("x", "X")))
    exports.write("2026-01-04", account(line("a0", "back")), mode="delta")
    report = exports.ingest()
    assert (report.loaded, report.unchanged, report.deleted) == (14, 9, 1)
    assert len(lake.files(lake.cut())["crm.account"]) == 1
    assert rows(
        "select Id, Name, _op from lake.crm_account where Id in ('a0', 'a1', 'x') order by Id, _exported_at"
    ) == [
        ("a0", "A", "upsert"),
        ("a0", "A", "delete"),
        ("a0", "back", "upsert"),
        ("a1", "A", "upsert"),
        ("a1", "B", "upsert"),
        ("a1", "A", "upsert"),
        ("x", "X", "upsert"),
    ]


def test_a_delta_flags_its_deletions(exports, rows) -> None:
    head = "Id,Name,IsDeleted\n"
    exports.take("2026-01-01", {"Account.csv": head + "a,A,false\nb,B,false\n", "Contact.csv": "Id\n"})
    report = exports.take("2026-01-02", {"Account.csv": head + "a,A,true\n"}, mode="delta")
    assert (report.loaded, report.deleted) == (1, 1)
    # A later full export without the deleted record has nothing to add.
    later = exports.take("2026-01-03", {"Account.csv": head + "b,B,false\n", "Contact.csv": "Id\n"})
    assert (later.loaded, later.unchanged, later.deleted) == (0, 1, 0)
    assert rows(NEWEST) == [("a", "A", "delete"), ("b", "B", "upsert")]


def test_an_older_export_waits_and_the_other_objects_go_on(exports, rows) -> None:
    exports.take("2026-01-05", account(line("a", "new")))
    report = exports.take(
        "2026-01-04", {**account(line("a", "old"), line("b", "old")), "User.csv": "Id,Name\nu1,Ann\n"}
    )
    assert report.objects["account"].quarantined == {"export_too_old": 2}
    assert report.objects["user"].loaded == 1
    assert [error.file.name for error in report.errors] == ["Account.csv"]
    assert rows(NEWEST) == [("a", "new", "upsert")]
    assert rows("select object, line, reason from lake.quarantine_rows") == [("account", None, "export_too_old")]
    assert exports.ingest(exports.folder / "2026-01-04").new_in_quarantine == 0


def test_an_export_that_deletes_too_much_waits_until_it_is_allowed(exports, rows) -> None:
    exports.take("2026-01-01", account(*(line(f"a{n}", "A") for n in range(10))))
    report = exports.take("2026-01-02", account(*(line(f"a{n}", "B") for n in range(7)), line("b", "B")))
    assert report.objects["account"].quarantined == {"too_many_deletions": 8}
    assert "3 of 10 records, more than 20%" in report.errors[0].problem
    assert rows("select count(*), count(distinct Name) from lake.crm_account") == [(10, 1)]
    again = exports.ingest(exports.folder / "2026-01-02")
    assert again.new_in_quarantine == 0
    allowed = exports.ingest(exports.folder / "2026-01-02", max_deletion_share=0.3)
    assert (allowed.loaded, allowed.deleted) == (8, 3)


def test_within_a_series_the_next_export_stands_on_the_last_good_one(exports, rows) -> None:
    exports.write("2026-01-01", account(*(line(f"a{n}", "A") for n in range(10))))
    exports.write("2026-01-02", account(line("a0", "A")))
    exports.write("2026-01-03", account(*(line(f"a{n}", "A") for n in range(9))))
    report = exports.ingest()
    assert report.objects["account"].quarantined == {"too_many_deletions": 1}
    assert (report.loaded, report.unchanged, report.deleted) == (10, 9, 1)
    assert rows("select count(*) from lake.crm_account where _op = 'delete'") == [(1,)]


def test_a_row_that_waits_is_not_gone(exports, rows) -> None:
    exports.take("2026-01-01", account(line("a", "A"), line("b", "B")))
    report = exports.take("2026-01-02", account("a,A,u1,yesterday,2025-01-01", line("b", "B")))
    assert (report.unchanged, report.deleted, report.quarantined) == (1, 0, {"bad_date": 1})
    assert rows(NEWEST) == [("a", "A", "upsert"), ("b", "B", "upsert")]


def test_a_source_without_times_of_change_gets_them(exports, rows) -> None:
    head = "Id,Name,CreatedDate\n"
    exports.take("2026-01-05", {"Account.csv": head + "a,A,2025-01-01\nb,B,\n", "Contact.csv": "Id\n"})
    exports.take("2026-01-06", {"Account.csv": head + "a,A2,2025-01-01\nb,B,\n", "Contact.csv": "Id\n"})
    assert rows("select Id, Name, SystemModstamp from lake.crm_account order by 1, 2") == [
        ("a", "A", "2025-01-01T00:00:00.000Z"),
        ("a", "A2", "2026-01-06T02:00:00.000Z"),
        ("b", "B", "2026-01-05T02:00:00.000Z"),
    ]


def test_further_columns_land_as_text_without_making_all_rows_new(exports, rows) -> None:
    exports.take("2026-01-01", {"Account.csv": "Id,Name\na,A\nb,B\n", "Contact.csv": "Id\n"})
    report = exports.take(
        "2026-01-02", {"Account.csv": "Id,Name,Shoe size,_op,name2\na,A,44,x,\nb,B,,,\n", "Contact.csv": "Id\n"}
    )
    assert (report.loaded, report.unchanged) == (1, 1)
    assert rows("select Id, Shoe_size, op from lake.crm_account where Shoe_size is not null") == [("a", "44", "x")]


def test_opt_outs_are_reported_as_they_are_now(exports) -> None:
    head = "Id,Email,HasOptedOutOfEmail\n"
    base = {"Account.csv": "Id\n"}
    first = exports.take(
        "2026-01-01", base | {"Contact.csv": head + "c1, Ann@Example.com ,true\nc2,b@example.com,false\n"}
    )
    assert first.opted_out_keys == {person_key("ann@example.com")}
    second = exports.take(
        "2026-01-02",
        base
        | {
            "Contact.csv": head + "c1,ann@example.com,false\nc2,b@example.com,1\n",
            "Lead.csv": head + "l,x@example.com,TRUE\n",
        },
    )
    assert second.opted_out_keys == {person_key("b@example.com"), person_key("x@example.com")}


def test_numbers_add_up_and_are_there_for_the_next_room(exports, rows) -> None:
    report = exports.take("2026-01-01", account(line("a", "A"), line("a", "older"), "b,B,u1,never,"))
    assert report.rows_read == report.loaded + report.unchanged + sum(report.quarantined.values()) == 3
    assert rows("select object, mode, rows_read, loaded, quarantined from lake.arrivals_files order by 1") == [
        ("account", "full", 3, 1, 2),
        ("contact", "full", 0, 0, 0),
    ]
    assert "account" in report.summary() and report.as_dict()["objects"]["account"]["rows_read"] == 3
