"""What an estimate is made from, and what a task family says a job will need."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict  # Which pydantic wants before Python 3.12.

ComputeDevice = Literal["cpu", "cuda"]


class ColumnStats(TypedDict, total=False):
    """The part of a column's profile that estimates read."""

    mean_length: float | None  # Characters of a text.
    unique: int | None  # Different values.


class DatasetStats(BaseModel):
    """A dataset's size and its columns' profiles, by name; other keys of a profile are ignored."""

    model_config = ConfigDict(frozen=True)

    rows: int
    columns: dict[str, ColumnStats] = {}

    def total(self, names: list[str], stat: Literal["mean_length", "unique"]) -> float:
        """The sum of one figure over these columns; unknown ones count nothing."""
        return sum(self.columns.get(name, {}).get(stat) or 0 for name in names)

    def count_labels(self, target_column: str) -> int:
        """How many labels the target has; 2 where the profile does not tell."""
        return self.columns.get(target_column, {}).get("unique") or 2


class Workload(BaseModel):
    """Seconds on the device's reference machine, and bytes of memory at the peak."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    memory_bytes: int
    advice: str  # What to lower when it does not fit.
