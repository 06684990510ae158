"""The one resource of all assets and sensors: settings and clock of the platform."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from dagster import Field, InitResourceContext, ResourceDefinition

from closedloop.clock import Clock, parse_time
from closedloop.errors import BadInput
from closedloop.settings import Settings, load_settings

_HELP = (
    "Play the run as if it began at this time (UTC, such as 2026-03-02T09:00), for demonstrations and tests. "
    "Empty: the real time."
)


@dataclass(frozen=True)
class Platform:
    """Settings and clock of a run. `quiet` keeps dbt from printing, where a command shows its own progress."""

    settings: Settings
    clock: Clock
    quiet: bool = False

    @classmethod
    def of(cls, settings: Settings, *, quiet: bool = False) -> Platform:
        """With the clock that the settings ask for."""
        return cls(settings, settings.clock(), quiet)

    def now(self) -> dt.datetime:
        """The time now, aware UTC."""
        return self.clock.now()

    def time(self, text: str, *, field: str) -> dt.datetime:
        """A time that someone typed in the launchpad; empty means now. Raises BadInput."""
        if not text.strip():
            return self.now()
        try:
            return parse_time(text)
        except ValueError:
            raise BadInput(
                f"'{text}' is not a date or time", field=field, remedy="write it as 2026-03-02 or 2026-03-02T09:00"
            ) from None


def platform_resource(platform: Platform | None = None) -> ResourceDefinition:
    """The resource `platform`: the given one, or settings from the environment, read when a run or tick begins."""

    def make(context: InitResourceContext) -> Platform:
        base = platform or Platform.of(load_settings())
        if now := str(context.resource_config["now"]):
            return Platform(base.settings, Clock.starting_at(base.time(now, field="now")), base.quiet)
        return base

    return ResourceDefinition(
        make,
        config_schema={"now": Field(str, default_value="", description=_HELP)},
        description="Settings (environment, .env) and clock of the platform.",
    )
