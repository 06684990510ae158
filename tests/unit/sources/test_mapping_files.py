"""A field mapping says what is wrong with it: file, line, field and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from closedloop.errors import BadInput
from closedloop.lake.catalogue import CRM_FILES
from ingestion.sources.mapping import load_mapping

MAPPINGS = Path(__file__).resolve().parents[3] / "mappings"
HEAD = "name: mine\nobjects:\n  account:\n    file: a.csv\n    fields:\n      Id: key\n"


def test_salesforce_has_every_object_under_its_own_file() -> None:
    mapping = load_mapping(MAPPINGS / "salesforce.yml")
    assert {item.file.removesuffix(".csv"): name for name, item in mapping.objects.items()} == CRM_FILES


def test_maven_looks_up_what_it_needs_first() -> None:
    mapping = load_mapping(MAPPINGS / "maven_crm.yml")
    order = mapping.order(by="lookup")
    assert order.index("user") < order.index("account") and order.index("opportunity") < order.index("account")


def test_short_forms_and_words(tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(
        HEAD + "      Name: [long, short]\n      IsDeleted: {column: gone, values: {yes: true, 0: false}}\n"
    )
    fields = load_mapping(file).objects["account"].fields
    assert fields["Id"].column == ("key",) and fields["Name"].column == ("long", "short")
    # YAML reads `yes` and `true` as booleans: the mapping means the words.
    assert fields["IsDeleted"].values == {"true": "true", "0": "false"}


@pytest.mark.parametrize(
    ("text", "line", "field", "problem"),
    [
        ("name: mine\n", 1, "objects", "required"),
        ("name: mine\nobjects:\n  acount: {file: a.csv}\n", 3, "objects.acount", "account"),
        ("name: mine\nobjects:\n  account:\n    fiel: a.csv\n", 3, "objects.account.file", "required"),
        (HEAD + "      Name: {column: n, value: x}\n", 7, "objects.account.fields.Name", "exactly one"),
        (HEAD + "      Name: {}\n", 7, "objects.account.fields.Name", "exactly one"),
        (
            HEAD + "      Name:\n        template: '{n|big}'\n",
            8,
            "objects.account.fields.Name.template",
            "no filter 'big'",
        ),
        (HEAD + "      'Na me': n\n", 5, "objects.account.fields", "no column name"),
        (
            HEAD + "      Name: {column: n, references: nobody}\n",
            7,
            "objects.account.fields.Name.references",
            "account",
        ),
        (
            HEAD + "      OwnerId:\n        lookup: {object: user, match: {Id: Id}, take: Id}\n",
            7,
            "objects.account.fields.OwnerId",
            "not another object",
        ),
        (
            HEAD
            + "      OwnerId:\n        lookup: {object: user, match: {Id: Boss}, take: Id}\n  user: {file: u.csv}\n",
            7,
            "objects.account.fields.OwnerId",
            "'Boss' is no field",
        ),
        (HEAD + "    also:\n      - file: b.csv\n", 8, "objects.account.also.0", "no Id"),
        (
            HEAD + "      Name:\n        lookup: {object: user, match: {Id: Id}, take: Name}\n"
            "  user:\n    file: u.csv\n    fields:\n      Name:\n        lookup: {object: account, match: {Id: Id}, take: Name}\n",
            2,
            "objects",
            "circle",
        ),
        ("name: mine\nobjects: [\n", 3, None, "not valid YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, line: int, field: str | None, problem: str) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(text)
    with pytest.raises(BadInput, match=problem) as caught:
        load_mapping(file)
    assert (caught.value.file, caught.value.line) == (file, line)
    assert field is None or caught.value.field.startswith(field)
    assert caught.value.remedy
