"""Networks for tables, made from their sizes: nothing is downloaded."""

from engine.catalog.entries import BaseModelEntry, ModelSource, TaskName

TASKS: tuple[TaskName, ...] = ("tabular-classification", "tabular-regression")


def scratch_entry(
    name: str, *, width: int, blocks: int, speed: float, description: str
) -> BaseModelEntry:
    return BaseModelEntry(
        id=name,
        name=name.replace("-", " ").capitalize(),
        tasks=TASKS,
        parameters=width * width * 2 * blocks,  # Without the first layer, which the table decides.
        licence="Apache-2.0",
        source=ModelSource(
            kind="scratch", reference=name, config={"width": width, "blocks": blocks}
        ),
        description=description,
        offline=True,
        learning_rate=1e-3,
        speed=speed,
    )


ENTRIES = (
    scratch_entry(
        "tabular-network",
        width=128,
        blocks=2,
        speed=1.0,
        description="Residual network for tables, beside boosted trees and a linear model.",
    ),
    scratch_entry(
        "tabular-network-large",
        width=384,
        blocks=4,
        speed=8.0,
        description="Wider and deeper: for a hundred thousand rows and more.",
    ),
)
