"""What the CRM is told: actions of the ledger as records of the CRM, by a mapping that is configuration, through one sink."""

from dispatch.crm.mapping import WriteBack, load_write_back
from dispatch.crm.sink import Outcome, Record, Sink, SinkDown
from dispatch.crm.write_back import WriteBackReport, write_back

__all__ = ["Outcome", "Record", "Sink", "SinkDown", "WriteBack", "WriteBackReport", "load_write_back", "write_back"]
