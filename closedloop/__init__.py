"""The ground floor: settings, clock, errors, programmes, ledger and lake. Imports nothing of the other rooms."""

__version__ = "0.1.0"
