"""How people write dates: order of day, month and year, by the shapes of a column's cells.

ISO dates and years that come first need no decision. 03/04/2026 means two different days, so a
column of such dates is decided by a cell whose first or second part is above 12, and otherwise
left for a person to decide. With dots the day comes first wherever dots are used (CLDR).

Thai dates count years from 543 years earlier (2567 is 2024), Japanese ones from the first year of
an era (令和6年 is 2024).
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property

DATE_PART = r"9{1,2}"
# Of these a clock shows only one at a place: what it showed says when, wherever that was.
ZONES_OF_PLACES = (
    ("EST", "EDT"), ("CST", "CDT"), ("MST", "MDT"), ("PST", "PDT"), ("AKST", "AKDT"), ("HST",),
    ("CET", "CEST"), ("EET", "EEST"), ("WET", "WEST"), ("MSK",), ("IST",), ("JST",), ("KST",),
    ("BST",), ("AEST", "AEDT"), ("NZST", "NZDT"), ("HKT",), ("SGT",), ("SAST",), ("BRT",),
)  # fmt: skip
ZONE = "|".join(zone for place in ZONES_OF_PLACES for zone in place)
_TIME = (
    r"(?:(?:[ T]|, )9{1,2}:99(?::99(?:\.9{1,9})?)?"
    r"(?:(?P<zone> ?(?:Z|[+-]99:?99))|(?P<half>[ \u202f]?[AaPp][Mm])?(?P<utc> (?:UTC|GMT)"
    rf"(?:[+-]9{{1,2}}(?::?99)?)?| (?:{ZONE}))?)?)?"
)
# Of a clock that counts to twelve.
HALF_DAYS = [f"%Y-%m-%d %I:%M{seconds}{gap}%p" for seconds in ("", ":%S") for gap in ("", " ")]
PIVOT = 69  # Of years with two digits, as POSIX has it.
EPOCH_SECONDS = (631_152_000, 4_102_444_800)  # 1990 to 2100.
SERIAL, SERIAL_DAYS = "44927", (18_264, 73_050)  # An example, and those of 1950 to 2099.
BUDDHIST_YEARS, BUDDHIST_OFFSET = (2443, 2643), 543  # Those of 1900 to 2100.


@dataclass(frozen=True)
class DateFormat:
    """`order` is a permutation of y, m, d; `mark` stands between the parts. `in_utc`: cells have
    different offsets, so that what the clock showed where they were written says little.
    `is_buddhist`: years such as 2567 are counted as in Thailand."""

    order: str
    mark: str
    in_utc: bool = False
    is_buddhist: bool = False

    @property
    def name(self) -> str:
        name = self.mark.join(self.order) + (" UTC" if self.in_utc else "")
        return f"{name} BE" if self.is_buddhist else name

    @property
    def pattern(self) -> re.Pattern[str]:
        parts = {"y": "9999", "m": DATE_PART, "d": DATE_PART}
        date = re.escape(self.mark).join(parts[part] for part in self.order)
        return re.compile(date + _TIME)

    def to_sql(self, cell: str, *, with_time: bool) -> str:
        """SQL that makes DATE or TIMESTAMP of a text expression; NULL where it is no such date."""
        iso = self._to_iso(cell)
        if self.is_buddhist:
            iso = common_era_sql(iso)
        if self.in_utc:
            joined = rf"regexp_replace({iso}, ' (Z|[+-][0-9:]+)$', '\1')"
            return f"try_cast({joined} AS TIMESTAMPTZ)::TIMESTAMP"
        return moment_sql(iso) if with_time else f"try_cast({iso} AS DATE)"

    def year_sql(self, cell: str) -> str:
        """SQL for the year as it is written."""
        return f"try_cast(left({self._to_iso(cell)}, 4) AS INTEGER)"

    def _to_iso(self, cell: str) -> str:
        if (self.order, self.mark) == ("ymd", "-"):
            return f"trim({cell})"
        groups = {part: position for position, part in enumerate(self.order, 1)}
        numbers = {"y": "([0-9]{4})", "m": "([0-9]{1,2})", "d": "([0-9]{1,2})"}
        mark = "[.]" if self.mark == "." else self.mark
        date = mark.join(numbers[part] for part in self.order)
        iso = rf"\{groups['y']}-\{groups['m']}-\{groups['d']}"
        return f"regexp_replace(trim({cell}), '^{date}', '{iso}')"


@dataclass(frozen=True)
class SerialDate(DateFormat):
    """Days as spreadsheets count them, from 1899-12-30: 44927 is 2023-01-01. Cells that are no
    numbers are dates of the format."""

    @property
    def name(self) -> str:
        written = super().name
        return SERIAL if written == "y-m-d" else f"{SERIAL} {written}"

    def to_sql(self, cell: str, *, with_time: bool) -> str:
        number, (low, high) = f"try_cast(trim({cell}) AS DOUBLE)", SERIAL_DAYS
        moment = f"'1899-12-30'::TIMESTAMP + to_seconds(round({number} * 86400))"
        counted = f"CASE WHEN {number} BETWEEN {low} AND {high} THEN {moment} END"
        written = super().to_sql(cell, with_time=with_time)
        return f"coalesce({counted if with_time else f'({counted})::DATE'}, {written})"


@dataclass(frozen=True)
class EpochDate(DateFormat):
    """Seconds since 1970, or thousandths of them, as programs count: 1704067200 is 2024-01-01."""

    per_second: int = 1

    @property
    def name(self) -> str:
        return "epoch" if self.per_second == 1 else "epoch-ms"

    def to_sql(self, cell: str, *, with_time: bool) -> str:
        number = f"try_cast(trim({cell}) AS DOUBLE) / {self.per_second}"
        low, high = EPOCH_SECONDS
        moment = f"make_timestamp((round({number} * 1000) * 1000)::BIGINT)"
        counted = f"CASE WHEN {number} BETWEEN {low} AND {high} THEN {moment} END"
        return counted if with_time else f"({counted})::DATE"


@dataclass(frozen=True)
class MonthDate(DateFormat):
    """Months without marks, as their first days: 202401 is 2024-01-01."""

    @property
    def name(self) -> str:
        return "yyyymm"

    def to_sql(self, cell: str, *, with_time: bool) -> str:
        day = f"left(trim({cell}), 4) || '-' || right(trim({cell}), 2) || '-01'"
        fits = f"regexp_full_match(trim({cell}), '(19|20)[0-9]{{4}}')"
        return (
            f"CASE WHEN {fits} THEN try_cast({day} AS {'TIMESTAMP' if with_time else 'DATE'}) END"
        )


def moment_sql(iso: str) -> str:
    """SQL for a day and a time of it, which may count to twelve or say that it is UTC's."""
    place = rf"[ ](UTC|GMT)([+-][0-9]{{1,2}}(:?[0-9]{{2}})?)?$|[ ]({ZONE})$"
    text = f"regexp_replace({iso}, '(,|{place})|\\x{{202f}}', '', 'g')"
    formats = ", ".join(f"'{layout}'" for layout in HALF_DAYS)
    halves = f"try_strptime(upper({text}), [{formats}])"
    # A cast takes PM for a place's time and leaves the hour as it is.
    is_half = f"regexp_matches({text}, '(?i)[ap]m$')"
    return f"CASE WHEN {is_half} THEN {halves} ELSE try_cast({text} AS TIMESTAMP) END"


def common_era_sql(iso: str) -> str:
    """SQL for a date that begins with its year, a Buddhist year less 543."""
    year = f"try_cast(left({iso}, 4) AS INTEGER)"
    low, high = BUDDHIST_YEARS
    moved = f"({year} - {BUDDHIST_OFFSET})::VARCHAR || substr({iso}, 5)"
    return f"CASE WHEN {year} BETWEEN {low} AND {high} THEN {moved} ELSE {iso} END"


# Months as people write them, in lower case and without a point behind them.
_MONTH_NAMES = (
    "january|jan|januar|janvier|janv|enero|ene|janeiro|gennaio|gen|มกราคม|ม.ค",
    "february|feb|februar|février|févr|fév|febrero|fevereiro|fev|febbraio|กุมภาพันธ์|ก.พ",
    "march|mar|märz|mär|mars|marzo|março|มีนาคม|มี.ค",
    "april|apr|avril|avr|abril|abr|aprile|เมษายน|เม.ย",
    "may|mai|mayo|maio|maggio|mag|พฤษภาคม|พ.ค",
    "june|jun|juni|juin|junio|junho|giugno|giu|มิถุนายน|มิ.ย",
    "july|jul|juli|juillet|juil|julio|julho|luglio|lug|กรกฎาคม|ก.ค",
    "august|aug|août|aou|agosto|ago|สิงหาคม|ส.ค",
    "september|sep|sept|septembre|septiembre|setembro|set|settembre|กันยายน|ก.ย",
    "october|oct|oktober|okt|octobre|octubre|outubro|out|ottobre|ott|ตุลาคม|ต.ค",
    "november|nov|novembre|noviembre|novembro|พฤศจิกายน|พ.ย",
    "december|dec|dezember|dez|décembre|déc|diciembre|dic|dezembro|dicembre|ธันวาคม|ธ.ค",
)
MONTHS = {name: n for n, names in enumerate(_MONTH_NAMES, 1) for name in names.split("|")}
_SPACE = "' ' || "
_MONTH = "|".join(sorted(map(re.escape, MONTHS), key=len, reverse=True)).replace("'", "''")
ERAS = {
    "令和": 2018,
    "平成": 1988,
    "昭和": 1925,
    "大正": 1911,
    "明治": 1867,
    "民國": 1911,
    "民国": 1911,
}
OFFSET = "(Z|[+-][0-9]{2}:?[0-9]{2})( [0-9]{4})?$"  # A year behind it, as Unix writes dates.
ERA_LETTERS = {"r": 2018, "h": 1988, "s": 1925}


@dataclass(frozen=True)
class WrittenDate:
    """Dates with words: the name of the month, or of the era. `parts` is a pattern with the groups
    year, month and day, and perhaps era; 9 stands for a digit. `is_doubtful`: it may be a code."""

    name: str
    parts: str
    is_doubtful: bool = False
    has_short_years: bool = False  # 24 is 2024, and 69 is 1969.
    in_utc: bool = False  # As of DateFormat.

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(f"(?:{self.parts}){_TIME}", re.IGNORECASE)

    def to_sql(self, cell: str, *, with_time: bool) -> str:
        """SQL that makes DATE or TIMESTAMP of a text expression; NULL where it is no such date."""
        time = (
            r"((?:(?:[ T]|, )[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?"
            r"(?:\s?[ap]m)?(?:\s(?:UTC|GMT)(?:[+-][0-9]{1,2}(?::?[0-9]{2})?)?)?)?)"
            rf"(?:\s?(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}}|{ZONE}))?"
        )
        regexp = f"(?i)^{self._sql_pattern}{time}$"
        text = f"trim({cell})"
        names = re.findall(r"\?P<(\w+)>", self.parts)
        is_time_inside = "time" in names
        groups = ", ".join(f"'{name}'" for name in (*names, *(() if is_time_inside else ("time",))))
        found = {name: f"one['{name}']" for name in (*names, "time")}
        parts = [self._year_sql(found), _month_sql(found["month"]), found["day"]]
        moment = iso = " || '-' || ".join(parts)
        if with_time:
            moment = f"({iso} || {_SPACE if is_time_inside else ''}{found['time']})"
        if self.in_utc:
            offset = f"regexp_extract({text}, '{OFFSET}', 1)"
            value = f"try_cast(({moment} || {offset}) AS TIMESTAMPTZ)::TIMESTAMP"
        else:
            value = moment_sql(moment) if with_time else f"try_cast(({iso}) AS DATE)"
        # Groups are matched once: each of them is asked for many times.
        matched = f"regexp_extract({text}, '{regexp}', [{groups}])"
        return f"list_transform([{matched}], lambda one: {value})[1]"

    def year_sql(self, cell: str) -> str:
        """SQL for the year; those of an era and Thai ones are converted already."""
        return f"year({self.to_sql(cell, with_time=True)})"

    @property
    def _sql_pattern(self) -> str:
        bare = re.sub(r"\?P<\w+>", "", self.parts)
        return bare.replace("9", "[0-9]")

    def _year_sql(self, groups: dict[str, str]) -> str:
        year = f"try_cast(replace({groups['year']}, '元', '1') AS INTEGER)"
        if "era" in groups:
            begins = "".join(
                f" WHEN '{era}' THEN {before}::INTEGER"
                for era, before in (ERAS | ERA_LETTERS).items()
            )
            # Without an era, years have four digits.
            without = f"CASE WHEN {year} >= 1000 THEN 0 END"
            year = f"({year} + CASE lower({groups['era']}){begins} ELSE {without} END)::INTEGER"
        if self.has_short_years:
            year = f"({year} + CASE WHEN {year} < {PIVOT} THEN 2000 ELSE 1900 END)::INTEGER"
        low, high = BUDDHIST_YEARS
        is_thai = f"regexp_matches({groups['month']}, '[\u0e00-\u0e7f]')"
        moved = (
            f"WHEN {is_thai} AND {year} BETWEEN {low} AND {high} THEN {BUDDHIST_OFFSET}::INTEGER"
        )
        return f"lpad(({year} - CASE {moved} ELSE 0 END)::VARCHAR, 4, '0')"


def _month_sql(month: str) -> str:
    """SQL for the number of a month that is written as a name or as a number."""
    whens = "".join(f" WHEN '{name}' THEN '{number}'::VARCHAR" for name, number in MONTHS.items())
    return f"CASE rtrim(lower({month}), '.'){whens} ELSE {month} END"


_YEAR, _DAY = "(?P<year>9999)", "(?P<day>9{1,2})"
_WEEKDAY = r"(?:[a-zà-ÿ]{2,10}[.]?,?\s)?"
_NAMED_MONTH, _GAP = f"(?P<month>{_MONTH})[.]?", "(?: |-|/)"
WRITTEN = (
    WrittenDate(
        "d-month-y",
        rf"{_WEEKDAY}{_DAY}[.]?(?:st|nd|rd|th|º)?{_GAP}(?:de |of )?{_NAMED_MONTH},?{_GAP}"
        rf"(?:de |del |พ[.]ศ[.] ?)?{_YEAR}",
    ),
    WrittenDate("month-d-y", rf"{_WEEKDAY}{_NAMED_MONTH}\s{_DAY}(?:st|nd|rd|th)?,?\s{_YEAR}"),
    WrittenDate(
        "month-d-time-y",
        rf"{_WEEKDAY}{_NAMED_MONTH}\s{{1,2}}{_DAY} (?P<time>9{{1,2}}:99:99)"
        rf"(?: (?:[+-]9999|UTC|GMT|{ZONE}))? {_YEAR}",
    ),
    WrittenDate("y년m월d일", rf"{_YEAR}년 ?(?P<month>9{{1,2}})월 ?{_DAY}일"),
    WrittenDate("y. m. d.", rf"{_YEAR}[.] (?P<month>9{{1,2}})[.] {_DAY}[.]?"),
    WrittenDate(
        "年月日",
        rf"(?P<era>(?:{'|'.join(ERAS)})?) ?(?P<year>9{{1,4}}|元)年 ?"
        rf"(?P<month>9{{1,2}})月 ?{_DAY}日",
    ),
    WrittenDate(
        "era-y.m.d",
        rf"(?P<era>{'|'.join(ERAS)}) ?(?P<year>9{{1,3}}|元)[./-](?P<month>9{{1,2}})[./-]{_DAY}",
    ),
    WrittenDate(
        "R-y.m.d",
        rf"(?P<era>[RHS])(?P<year>9{{1,2}})[./-](?P<month>9{{1,2}})[./-]{_DAY}",
        is_doubtful=True,
    ),
)  # fmt: skip
_SHORT_YEAR, _MONTH_NUMBER = "(?P<year>99)", "(?P<month>9{1,2})"


def _short(name: str, parts: str, *, is_doubtful: bool = True) -> WrittenDate:
    return WrittenDate(name, parts, is_doubtful, has_short_years=True)


# With years of two digits; of the pairs the order is open. Unpadded, with points, are chapters.
SHORT = (
    (_short("d-month-yy", rf"{_DAY}{_GAP}{_NAMED_MONTH}{_GAP}{_SHORT_YEAR}", is_doubtful=False),),
    (_short("dd.mm.yy", rf"(?P<day>99)[.](?P<month>99)[.]{_SHORT_YEAR}"),),
    (
        _short("d/m/yy", f"{_DAY}/{_MONTH_NUMBER}/{_SHORT_YEAR}"),
        _short("m/d/yy", f"{_MONTH_NUMBER}/{_DAY}/{_SHORT_YEAR}"),
    ),
)
COMPACT = WrittenDate("yyyymmdd", "(?P<year>9999)(?P<month>99)(?P<day>99)")
AnyDate = DateFormat | WrittenDate
ISO = DateFormat("ymd", "-")
CERTAIN = (ISO, DateFormat("ymd", "/"), DateFormat("ymd", "."), DateFormat("dmy", "."))
AMBIGUOUS = (
    (DateFormat("dmy", "/"), DateFormat("mdy", "/")),
    (DateFormat("dmy", "-"), DateFormat("mdy", "-")),
)
_ALL = (*CERTAIN, *(each for pair in AMBIGUOUS for each in pair))


def given_in_utc(each: AnyDate) -> AnyDate:
    """The same format for cells with different offsets."""
    if isinstance(each, WrittenDate):
        return replace(each, name=f"{each.name} UTC", in_utc=True)
    return replace(each, in_utc=True)


EPOCHS = (EpochDate("ymd", "-"), EpochDate("ymd", "-", per_second=1000))
MONTH = MonthDate("ymd", "-")
_VARIANTS = [
    replace(date, in_utc=in_utc, is_buddhist=is_buddhist)
    for date in _ALL
    for in_utc in (False, True)
    for is_buddhist in (False, True)
]
_NAMED: list[AnyDate] = [
    *_VARIANTS,
    *[SerialDate(each.order, each.mark) for each in _ALL],
    *EPOCHS,
    MONTH,
    *WRITTEN,
    *map(given_in_utc, WRITTEN),
    COMPACT,
    *(one for group in SHORT for one in group),
]
BY_NAME = {date.name: date for date in _NAMED}


def fitting_dates(patterns: list[str]) -> list[AnyDate]:
    """The formats whose shape every cell has; two when the order of day and month is open."""
    candidates: list[tuple[AnyDate, ...]] = [*[(each,) for each in CERTAIN], *AMBIGUOUS]
    for group in [*candidates, *[(each,) for each in WRITTEN], *SHORT]:
        if all(group[0].pattern.fullmatch(pattern) for pattern in patterns):
            return list(group)
    return []


def has_offset(patterns: list[str]) -> bool:
    """Whether times say how far they are from UTC."""
    return any(re.search(r":99.*(Z|[+-]99:?99)( 9999)?$", pattern) for pattern in patterns)


def find_zones(patterns: list[str]) -> set[str]:
    """The zones that times name by letters; "" stands for those that name none."""
    found = (re.search(rf":99.* (UTC|GMT|{ZONE})\b", pattern) for pattern in patterns)
    return {match[1] if match else "" for match in found}


def are_of_one_place(zones: set[str]) -> bool:
    return any(zones <= set(place) for place in ZONES_OF_PLACES)


def has_time(patterns: list[str]) -> bool:
    return any(":" in pattern for pattern in patterns)
