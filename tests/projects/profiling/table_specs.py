"""Writes a CSV from a line that says what its columns hold, as public_tables.py has them."""

import csv
import datetime
import io
import random
import re

OPINIONS = [
    "terrible broken refund angry worst late never awful rude waste",
    "poor slow problem annoying cheap wrong missing issue delay disappointed",
    "okay average fine normal usual standard works plain typical expected",
    "good nice pleasant quick helpful happy solid recommend smooth clean",
    "excellent wonderful amazing love perfect superb brilliant best fantastic delighted",
]
PLAIN = (
    "the a this that with from about when it we they my our was is has been will can and but for"
    " order day time people thing room place team water city house game week year food service"
)
CHINESE_OPINIONS = ["太难吃了", "有点失望", "中规中矩", "比较满意", "强烈推荐"]
CHINESE_PLAIN = "今天 我们 在 店里 买了 一份 东西 服务员 包装 价格 感觉 这个 手机 酒店 房间 朋友"
FIRST = ["Ann", "Bob", "Carla", "Dan", "Eve", "Finn", "Gita", "Hugo", "Ivy", "Jan", "Kai", "Lena"]
LAST = [
    "Smith",
    "Jones",
    "Brown",
    "Lee",
    "Garcia",
    "Rossi",
    "Kim",
    "Chen",
    "Novak",
    "Silva",
    "Haddad",
    "Okafor",
]
RANGE = re.compile(r"(-?[\d.]+?)\.\.(-?[\d.]+)")
WORDS = re.compile(r"(t|zh)(\d+)")
START = datetime.datetime(2015, 1, 1)


def write_table(spec: str, rows: int = 400) -> bytes:
    """Each row has a hidden fact between 0 and 1 that columns follow as far as they say."""
    columns = [part.strip().rpartition(":")[::2] for part in spec.split(";")]
    rng, out = random.Random(1), io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([name.strip() for name, _ in columns])
    for n in range(rows):
        fact = rng.random()
        writer.writerow([_cell(kind.strip(), n, rng, fact) for _, kind in columns])
    return out.getvalue().encode()


def _cell(kind: str, n: int, rng: random.Random, fact: float) -> str:
    kind, _, empty = kind.partition("?") if re.search(r"\?[\d.]+$", kind) else (kind, "", "")
    if empty and rng.random() < float(empty):
        return ""
    kind, _, share = kind.partition("~")
    tie = float(share or 0)
    if kind.startswith("#"):
        return f"{kind[1:]}{n:05}" if kind[1:] else str(n + 1)
    if match := RANGE.fullmatch(kind):
        low, high = match.groups()
        place = tie * fact + (1 - tie) * rng.random()
        number = float(low) + (float(high) - float(low)) * place
        return f"{number:.{len(low.partition('.')[2])}f}"
    if match := WORDS.fullmatch(kind):
        return _words(int(match[2]), rng, fact, tie, is_chinese=match[1] == "zh")
    return _plain_cell(kind, n, rng) or _pick(kind.split("|"), rng, fact, tie)


def _plain_cell(kind: str, n: int, rng: random.Random) -> str:
    """Of kinds that say nothing of the row's fact."""
    moment = START + datetime.timedelta(hours=rng.randrange(70_000))
    cells = {
        "hex": f"{rng.getrandbits(64):016x}",
        "name": f"{rng.choice(FIRST)} {rng.choice(LAST)}",
        "person": f"{rng.choice(LAST)}, Mr. {rng.choice(FIRST)} {rng.choice(LAST)}",
        "email": f"user{n}@mail.example",
        "url": f"https://site.example/page/{n}",
        "unix": str(1_300_000_000 + rng.randrange(10**8)),
        "date": moment.date().isoformat(),
        "stamp": moment.isoformat(" "),
        "day": (START + datetime.timedelta(days=n)).date().isoformat(),
        "hour": (START + datetime.timedelta(hours=n)).isoformat(" "),
    }
    return cells.get(kind, "")


def _pick(values: list[str], rng: random.Random, fact: float, tie: float) -> str:
    return values[int((fact if rng.random() < tie else rng.random()) * len(values))]


def _words(count: int, rng: random.Random, fact: float, tie: float, *, is_chinese: bool) -> str:
    opinions = CHINESE_OPINIONS if is_chinese else OPINIONS
    plain = (CHINESE_PLAIN if is_chinese else PLAIN).split()
    words = [
        rng.choice(_pick(opinions, rng, fact, tie).split())
        if rng.random() < 0.3
        else rng.choice(plain)
        for _ in range(max(2, round(count * rng.uniform(0.6, 1.4))))
    ]
    return ("" if is_chinese else " ").join(words)
