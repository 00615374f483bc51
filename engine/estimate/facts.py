"""What an estimate is made from, and what a task family says a job will need."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

ComputeDevice = Literal["cpu", "cuda"]


class DataFacts(BaseModel):
    """A dataset's size and its profile's facts of each column, by name."""

    model_config = ConfigDict(frozen=True)

    rows: int
    columns: dict[str, dict[str, Any]] = {}

    def total(self, names: list[str], fact: str) -> float:
        """The sum of one fact over these columns; what is unknown counts nothing."""
        return sum(self.columns.get(name, {}).get(fact) or 0 for name in names)


class Workload(BaseModel):
    """Seconds on the device's reference machine, and bytes of memory at the peak."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    memory_bytes: int
    advice: str  # What to lower when it does not fit.
