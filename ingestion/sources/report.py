"""What an ingest did, in numbers that must add up: every row that was read is loaded, unchanged or in quarantine."""

from __future__ import annotations

from dataclasses import dataclass, field

from closedloop.errors import BadInput, ClosedLoopError


@dataclass
class ObjectReport:
    """Rows of one object. `deleted` counts deletion rows; those that the file flags itself are among `loaded` too."""

    object: str
    rows_read: int = 0
    loaded: int = 0
    unchanged: int = 0
    deleted: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    """Rows by reason."""

    def wait(self, reason: str, rows: int) -> None:
        if rows:
            self.quarantined[reason] = self.quarantined.get(reason, 0) + rows

    @property
    def in_quarantine(self) -> int:
        return sum(self.quarantined.values())

    def check(self) -> None:
        """Raises ClosedLoopError when a row got lost, which is a defect of ours."""
        if self.rows_read != self.loaded + self.unchanged + self.in_quarantine:
            raise ClosedLoopError(
                f"{self.object}: {self.rows_read} rows read, but {self.loaded} loaded, {self.unchanged} unchanged and "
                f"{self.in_quarantine} in quarantine; please report this"
            )

    def add(self, other: ObjectReport) -> None:
        self.rows_read += other.rows_read
        self.loaded += other.loaded
        self.unchanged += other.unchanged
        self.deleted += other.deleted
        for reason, rows in other.quarantined.items():
            self.wait(reason, rows)


@dataclass
class CrmReport:
    """What `ingest_crm` did. `errors` kept something out, `warnings` did not; both name file, line, field, remedy."""

    mapping: str
    exports: int = 0
    objects: dict[str, ObjectReport] = field(default_factory=dict)
    errors: list[BadInput] = field(default_factory=list)
    warnings: list[BadInput] = field(default_factory=list)
    opted_out_keys: set[str] = field(default_factory=set)
    """Person keys of all contacts and leads that do not want mail now: to become suppressions at once."""
    new_in_quarantine: int = 0

    def count(self, report: ObjectReport) -> None:
        """Adds the rows of one object."""
        self.objects.setdefault(report.object, ObjectReport(report.object)).add(report)

    def summary(self) -> str:
        """For people: one line per object, then reasons, warnings and errors."""
        width = max((len(name) for name in self.objects), default=0)
        lines = [
            f"{name:<{width}}  {report.loaded:>9,} loaded  {report.unchanged:>9,} unchanged  {report.deleted:>7,} deleted  "
            f"{report.in_quarantine:>7,} in quarantine"
            for name, report in self.objects.items()
        ]
        lines += [
            f"in quarantine: {rows:,} rows of {name}: {reason}"
            for name, report in self.objects.items()
            for reason, rows in report.quarantined.items()
        ]
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [f"error: {error}" for error in self.errors]
        return "\n".join(lines)

    @property
    def total(self) -> ObjectReport:
        """The sum over all objects."""
        total = ObjectReport("total")
        for report in self.objects.values():
            total.add(report)
        return total

    @property
    def rows_read(self) -> int:
        return self.total.rows_read

    @property
    def loaded(self) -> int:
        return self.total.loaded

    @property
    def unchanged(self) -> int:
        return self.total.unchanged

    @property
    def deleted(self) -> int:
        return self.total.deleted

    @property
    def quarantined(self) -> dict[str, int]:
        return self.total.quarantined

    def as_dict(self) -> dict[str, object]:
        """For `--json` and event metadata: counts and messages, nothing personal."""
        return {
            "mapping": self.mapping,
            "exports": self.exports,
            "objects": {
                name: {
                    "rows_read": report.rows_read,
                    "loaded": report.loaded,
                    "unchanged": report.unchanged,
                    "deleted": report.deleted,
                    "quarantined": dict(report.quarantined),
                }
                for name, report in self.objects.items()
            },
            "opted_out": len(self.opted_out_keys),
            "new_in_quarantine": self.new_in_quarantine,
            "errors": [str(error) for error in self.errors],
            "warnings": [str(warning) for warning in self.warnings],
        }


@dataclass
class ResponseReport:
    """What `ingest_responses` did: rows_read = loaded + unanswered + unchanged + quarantined."""

    rows_read: int = 0
    loaded: int = 0
    """Answers that are new, or new versions of known ones."""
    unanswered: int = 0
    """New rows that say: invited, not answered."""
    unchanged: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Rows in quarantine by reason."""
    new_in_quarantine: int = 0
    """Of these, the ones that were not there before."""
    warnings: list[BadInput] = field(default_factory=list)

    @property
    def quarantined(self) -> int:
        return sum(self.reasons.values())

    def check(self) -> None:
        """Raises ClosedLoopError when a row got lost, which is a defect of ours."""
        if self.rows_read != self.loaded + self.unanswered + self.unchanged + self.quarantined:
            raise ClosedLoopError(f"{self.rows_read} rows read, but the parts do not add up; please report this")

    def as_dict(self) -> dict[str, object]:
        return {
            "rows_read": self.rows_read,
            "loaded": self.loaded,
            "unanswered": self.unanswered,
            "unchanged": self.unchanged,
            "quarantined": self.quarantined,
            "reasons": dict(self.reasons),
            "new_in_quarantine": self.new_in_quarantine,
            "warnings": [str(warning) for warning in self.warnings],
        }
