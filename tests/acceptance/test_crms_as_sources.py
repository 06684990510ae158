"""Each CRM read by its command, as a person at the keyboard has it."""

from __future__ import annotations

import json

import pytest
from command_line import PERSONAL, CommandLine
from hubspot_server import TOKEN, HubSpotServer
from salesforce_server import SalesforceServer

from closedloop.settings import REPO


@pytest.fixture
def salesforce():
    server = SalesforceServer()
    server.put("Account", Id="001A", Name="Acme")
    server.put("Contact", Id="003A", AccountId="001A", FirstName=PERSONAL, Email=f"{PERSONAL}@customer.example")
    with server.running():
        yield (
            server,
            {
                "CLOSEDLOOP_SALESFORCE_URL": server.url,
                "CLOSEDLOOP_SALESFORCE_CLIENT_ID": "key",
                "CLOSEDLOOP_SALESFORCE_CLIENT_SECRET": "secret",
            },
        )


@pytest.fixture
def hubspot():
    server = HubSpotServer()
    server.put("companies", "11", name="Acme")
    server.put("contacts", "21", firstname=PERSONAL, email=f"{PERSONAL}@customer.example")
    server.link("contacts", "21", "companies", "11")
    with server.running():
        yield (
            server,
            {
                "CLOSEDLOOP_HUBSPOT_URL": server.url,
                "CLOSEDLOOP_HUBSPOT_TOKEN": TOKEN,
                "CLOSEDLOOP_MAPPING": str(REPO / "mappings" / "hubspot.yml"),
            },
        )


@pytest.mark.parametrize(("crm", "limit"), [("salesforce", "limit"), ("hubspot", "daily")])
def test_a_crm_is_read_by_its_command(tmp_path, request, crm, limit):
    server, environment = request.getfixturevalue(crm)
    line = CommandLine(tmp_path / "home", **environment)
    refused = line.refused("ingest", crm, CLOSEDLOOP_SALESFORCE_URL="", CLOSEDLOOP_HUBSPOT_TOKEN="")
    assert f"CLOSEDLOOP_{crm.upper()}" in refused
    server.fail(limit, 2)
    stopped = line.run("ingest", crm, code=1)
    assert "stopped:" in stopped.stderr and "run it again later" in stopped.stderr
    server.faults.clear()
    done = line.run("ingest", crm)
    assert "account" in done.stdout and "warning:" in done.stderr
    again = json.loads(line.run("ingest", crm, "--json").stdout)
    assert again["stopped"] is None and again["fetched"]["account"] == 1, "inside the overlap"
    assert again["loaded"]["objects"]["account"]["loaded"] == 0
    assert line.lake("select Id, AccountId from lake.crm_contact") == [
        ("003A", "001A") if crm == "salesforce" else ("21", "11")
    ]
