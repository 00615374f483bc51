"""What an import costs beside pandas and bare DuckDB: the same CSV to Parquet, each in a process of
its own, one after the other.

    python -m benchmarks.ingest --megabytes 1000 [--rounds 3] [--folder /tmp/ingest]

The import runs as in the product: it detects encoding, dialect and types, writes typed Parquet and
profiles the table. pandas runs read_csv and to_parquet, DuckDB copies read_csv_auto to Parquet.
Neither looks for broken rows, dates in other orders, personal data or labels. Wall and CPU seconds
and the peak of resident memory come from the kernel (wait4) for each process.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

WORDS = re.findall(
    r"\w+",
    "my card never arrived where is the order payment transfer pending money refund invoice box"
    " courier door please help account password login bank fee statement delivery address",
)
PANDAS = "import pandas, sys; pandas.read_csv(sys.argv[1]).to_parquet(sys.argv[2])"
DUCKDB = (
    "import duckdb, sys; duckdb.sql(f\"COPY (SELECT * FROM read_csv_auto('{sys.argv[1]}'))"
    " TO '{sys.argv[2]}' (FORMAT parquet)\")"
)
STAGES = """
import json, sys, time
from pathlib import Path
from projects.importing import import_process
from projects.profiling import table_profile
spent = [0.0, 0.0]
profile = table_profile.profile_table
def timed(*given):
    started, used = time.perf_counter(), time.process_time()
    try:
        return profile(*given)
    finally:
        spent[:] = time.perf_counter() - started, time.process_time() - used
import_process.profile_table = timed
order = {"upload": sys.argv[1], "filename": "data.csv", "overrides": {}}
answer = import_process.carry_out(order, Path(sys.argv[2]).parent)
assert answer["failure"] is None, answer
print(json.dumps({"profile": spent[0], "profile_cpu": spent[1]}))
"""
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}  # As the product starts its import.


@dataclass(frozen=True)
class Cost:
    """Of one process: seconds, and bytes at the peak."""

    wall: float
    cpu: float
    peak_bytes: int
    profile_seconds: float = 0.0
    profile_cpu: float = 0.0

    @property
    def bare_wall(self) -> float:
        return self.wall - self.profile_seconds

    @property
    def bare_cpu(self) -> float:
        return self.cpu - self.profile_cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/ingest"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    data = options.folder / f"data-{options.megabytes}.csv"
    if not data.exists():
        write_table(data, options.megabytes * 1_000_000)
    costs: dict[str, list[Cost]] = {"pandas": [], "duckdb": [], "import": []}
    for _ in range(options.rounds):
        costs["pandas"].append(measure(PANDAS, data, options.folder / "pandas.parquet"))
        costs["duckdb"].append(measure(DUCKDB, data, options.folder / "duckdb.parquet"))
        costs["import"].append(measure(STAGES, data, options.folder / "import" / "data.parquet"))
    print_costs(data, costs)


def write_table(path: Path, size: int) -> None:
    """Seven columns such as support tools export: id, text, label, amount, day, city, yes or no."""
    dice = random.Random(0)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write("id,text,label,amount,day,city,is_open\n")
        number = 0
        while file.tell() < size:
            file.writelines(table_line(dice, number + step) for step in range(10_000))
            number += 10_000


def table_line(dice: random.Random, number: int) -> str:
    text = " ".join(dice.choices(WORDS, k=dice.randint(10, 40)))
    if number % 7 == 0:
        text = '"' + text.replace(" ", ", ", 2) + '"'
    day = f"20{number % 24:02}-{number % 12 + 1:02}-{number % 28 + 1:02}"
    city = ("Berlin", "Paris", "Rome", "Zürich")[number % 4]
    amount = f"{dice.random() * 1000:.2f}"
    return f"{number},{text},{WORDS[number % 20]},{amount},{day},{city},{'yn'[number % 2]}\n"


def measure(program: str, data: Path, target: Path) -> Cost:
    """Run one program in a process of its own."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(data), str(target)],
        stdout=subprocess.PIPE,
        env=os.environ | ENVIRONMENT,
    )
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    if child.returncode:
        raise SystemExit(f"A program ended with status {child.returncode}.")
    lines = output.decode().splitlines()
    said = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return Cost(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
        profile_seconds=said.get("profile", 0.0),
        profile_cpu=said.get("profile_cpu", 0.0),
    )


def print_costs(data: Path, costs: dict[str, list[Cost]]) -> None:
    print(f"{data}: {data.stat().st_size / 1e6:,.0f} MB, medians of {len(costs['import'])} rounds")
    for name, rounds in costs.items():
        wall, cpu = (median(getattr(cost, what) for cost in rounds) for what in ("wall", "cpu"))
        peak = max(cost.peak_bytes for cost in rounds) / 1e6
        print(f"{name:>8}: {wall:7.1f} s wall, {cpu:7.1f} s CPU, {peak:6,.0f} MB at the peak")
    for what, bare_name in (("wall", "bare_wall"), ("cpu", "bare_cpu")):
        pandas, duckdb, whole = (
            median(getattr(cost, what) for cost in costs[name])
            for name in ("pandas", "duckdb", "import")
        )
        bare = median(getattr(cost, bare_name) for cost in costs["import"])
        print(f"{what}: import without profile {bare:.1f} s, {bare / pandas:.2f} × pandas,"
              f" {bare / duckdb:.2f} × DuckDB; ready with its profile {whole:.1f} s,"
              f" {whole / pandas:.2f} × pandas")  # fmt: skip


if __name__ == "__main__":
    main()
