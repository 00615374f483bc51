"""The field of the launch form that bounds a job's run time, in hours and minutes."""

from typing import Any

from django import forms

from training.jobs.limits import format_duration
from training.models import ComputeClass
from training.models.compute_class import MAX_TIME_LIMIT_SECONDS, MIN_TIME_LIMIT_SECONDS

HOUR, MINUTE = 3600, 60
MAX_HOURS = MAX_TIME_LIMIT_SECONDS // HOUR
INVALID_MESSAGE = f"A time limit is {{}}, of 0 to {MAX_HOURS} hours and 0 to 59 minutes"


class HoursMinutesWidget(forms.MultiWidget):
    template_name = "training/_hours_and_minutes.html"

    def __init__(self) -> None:
        number = {"class": "input", "step": "1", "min": "0", "inputmode": "numeric"}
        super().__init__(
            widgets={
                "hours": forms.NumberInput(attrs=number | {"max": str(MAX_HOURS)}),
                "minutes": forms.NumberInput(attrs=number | {"max": "59"}),
            }
        )

    def decompress(self, value: int | None) -> list[int | None]:
        return [value // HOUR, value % HOUR // MINUTE] if value else [None, None]


class TimeLimitField(forms.MultiValueField):
    """Cleans to seconds; None when both parts are empty."""

    widget = HoursMinutesWidget

    def __init__(self, **facts: Any) -> None:
        parts = [(MAX_HOURS, "whole hours"), (59, "whole minutes")]
        fields = [
            forms.IntegerField(
                min_value=0,
                max_value=most,
                required=False,
                error_messages=dict.fromkeys(
                    ("invalid", "min_value", "max_value"), INVALID_MESSAGE.format(name)
                ),
            )
            for most, name in parts
        ]
        super().__init__(fields, require_all_fields=False, required=False, **facts)

    def compress(self, data_list: list[int | None]) -> int | None:
        if not data_list or data_list == [None, None]:
            return None
        hours, minutes = data_list
        return (hours or 0) * HOUR + (minutes or 0) * MINUTE


def time_limit_form_data(seconds: int | None) -> dict[str, str]:
    """An earlier job's limit as the form's two fields; a part of a minute counts as a whole one."""
    if seconds is None:
        return {}
    minutes = -(-seconds // MINUTE)
    return {"time_limit_hours": str(minutes // 60), "time_limit_minutes": str(minutes % 60)}


def time_limit_help_text(machines: list[ComputeClass]) -> str:
    """What an empty field means on each machine, one sentence for each duration."""
    names: dict[str, list[str]] = {}
    for machine in machines:
        duration = format_duration(machine.time_limit_seconds)
        names.setdefault(duration, []).append(machine.name)
    if len(names) == 1:
        (duration,) = names
        return f"Of billed run time. Empty: the most allowed, {duration}."
    each = [f"At most {duration} on {', '.join(those)}." for duration, those in names.items()]
    return " ".join(["Of billed run time. Empty: the most allowed.", *each])


def time_limit_error(seconds: int | None, machine: ComputeClass) -> str:
    """Why a job on this machine cannot have this limit; "" when it can."""
    most = machine.time_limit_seconds
    if seconds is None or MIN_TIME_LIMIT_SECONDS <= seconds <= most:
        return ""
    shortest_duration = format_duration(MIN_TIME_LIMIT_SECONDS)
    return f"A time limit on {machine.name} is {shortest_duration} to {format_duration(most)}"
