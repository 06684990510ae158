"""The truth about what we decided, sent, heard and did: a transactional database and named operations on it.

The operations live in modules by subject: `planning`, `delivery`, `answers`, `followups`, `lists`, `builds`,
`history`, `export`.
"""

from closedloop.ledger.engine import Ledger

__all__ = ["Ledger"]
