"""What a column's name says about its use, in English, Chinese and some of other languages.

A name is split into words at blanks, signs and changes of case, and loses its accents. English puts
the noun last, or before `of`, so that this word counts most: `customer_rating` and `rating of
customers` are ratings, `rating_count` is a count. Chinese and
Japanese names are not split; a word counts wherever it stands.
"""

import re
import unicodedata
from collections.abc import Sequence

from projects.profiling.english_names import (
    QUALIFIERS,
    TARGET_WORDS,
    TEXT_WORDS,
    UNIT_WORDS,
)
from projects.profiling.foreign_names import (
    CJK_TARGET_WORDS,
    CJK_TEXT_WORDS,
    FOREIGN_TARGET_WORDS,
    FOREIGN_TEXT_WORDS,
)

# Fields by which programs call the object that they belong to.
NAME_FIELDS = frozenset({"name", "display_value", "displayName"})
VALUE_FIELDS = frozenset(
    {"label", "value", "name", "raw", "html", "plain", "string", "#text", "$t"}
)
# What a model said and a person has yet to confirm.
GUESSES = frozenset({"prediction", "predictions", "predicted", "suggestion", "suggestions", "pred"})
GUESS_SHARE = 0.3
# Nouns that many features end in: a vehicle class, a building type. Alone they name a target.
GENERIC_NOUNS = frozenset({
    "class", "type", "category", "group", "status", "quality", "score", "value", "level", "grade",
    "team", "result", "condition", "cost", "rating",
})  # fmt: skip
# Of these a status, a result or an outcome is how the case ended.
CASES = frozenset({
    "loan", "claim", "application", "subscription", "account", "customer", "patient", "admission",
    "inspection", "test", "exam", "treatment", "campaign", "machine", "payment", "appointment",
})  # fmt: skip
ENDINGS = frozenset({"status", "result", "outcome", "condition"})
CASE_ENDING_SCORE = 5.0
UNIT_BONUS = 0.5  # salary_in_usd beside salary, which is in many currencies.
# What sorts things: in a table of facts one more of them, unless it stands last.
SORTING_WORDS = frozenset({
    "category", "categories", "class", "type", "group", "topic", "topics", "tag", "tags", "queue",
    "department", "team", "product", "priority",
})  # fmt: skip
# A table with several of these is the export of a help desk, where requests are routed to groups.
HELP_DESK_WORDS = frozenset({
    "requester", "submitter", "assignee", "assigned", "ticket", "priority", "status", "via",
    "channel", "agent", "caller",
})  # fmt: skip
ROUTES = frozenset({"group", "queue", "team", "department", "category"})
MIN_HELP_DESK_COLUMNS, ROUTE_BONUS = 3, 3.0
SPAN_SCORE = 3.0
# In words such as low and high, these are facts about a row; what is estimated is their number.
# What cells say of how something ended or was judged, whatever the column is called.
OUTCOME_VALUES = frozenset({
    "successful", "success", "failed", "failure", "fail", "pass", "passed", "approved", "rejected",
    "denied", "accepted", "declined", "won", "lost", "win", "loss", "spam", "ham", "positive",
    "negative", "neutral", "pos", "neg", "fraud", "legit", "legitimate", "churned", "retained",
    "stayed", "left", "joined", "paid", "charged", "default", "good", "bad",
    "benign", "malignant", "normal", "abnormal", "anomaly", "alive", "dead", "canceled",
    "cancelled", "completed", "show", "real", "fake", "up", "down", "satisfied", "dissatisfied",
    "unsatisfied", "正面", "负面", "中性", "好评", "差评", "中评",
    "合格", "不合格", "通过", "未通过", "正常", "异常", "故障", "违约", "流失", "成功", "失败",
    "积极", "消极", "良性", "恶性", "满意", "不满意",
})  # fmt: skip
DIRECTIONS = frozenset({"up", "down", "show"})  # `4.1 and up` is no outcome.
QUANTITIES = frozenset({
    "price", "prices", "cost", "charges", "salary", "income", "wage", "wages", "sales", "revenue",
    "demand", "value", "consumption",
})  # fmt: skip
VALUED_THINGS = frozenset({"house", "home", "property", "market", "sale", "lifetime"})
# Before a generic noun these words keep it a target.
SUBJECTS_OF_TRIAGE = frozenset({
    "ticket", "issue", "case", "request", "message", "text", "review", "document", "news",
    "article", "complaint", "email", "mail", "target", "final", "true", "actual", "intent",
    "product",
    "question", "satisfaction", "credit", "overall", "wine", "house", "home", "median",
})  # fmt: skip
PLACES_AND_PEOPLE = frozenset({
    "sex", "gender", "age", "race", "ethnicity", "marital", "education", "occupation", "country",
    "state", "city", "region", "district", "neighborhood", "neighbourhood", "address", "street",
    "location", "channel", "source", "device", "browser", "os", "month", "day", "year", "weekday",
    "season", "hour", "quarter", "zip", "zipcode", "postcode", "postal", "lat", "latitude", "lon",
    "lng", "long", "longitude", "phone", "code", "cabin", "ticket", "sku", "airline", "brand",
    "relationship", "timezone", "currency", "version", "ver", "embarked", "holiday", "model",
    "name", "names", "author", "user", "username", "artist", "actor", "director", "player",
    "seller", "agent", "owner", "host", "reviewer",
})  # fmt: skip
CJK_PLACES_AND_PEOPLE = (
    "性别", "年龄", "城市", "地区", "省份", "省", "区域", "学历", "婚姻", "职业", "渠道", "月份",
    "年份", "星期", "季节", "民族", "国家", "地址", "楼层", "朝向", "小区", "邮编", "经度", "纬度",
    "版本", "品牌", "型号", "商家", "店铺", "店名", "性別", "年齢", "地域",
)  # fmt: skip
PERSON_NAMES = frozenset({
    "name", "names", "author", "user", "username", "customer", "client", "passenger", "company",
    "employer", "address", "street", "city", "cabin", "brand", "model", "artist", "actor",
    "director", "player", "seller", "agent", "manager", "owner", "contact", "location", "timezone",
    "coord", "sku", "dest", "destination", "origin", "home", "isbn",
    "host", "neighborhood", "neighbourhood", "hotel", "airline", "genre",
})  # fmt: skip
CJK_PERSON_NAMES = (
    "姓名", "名字", "名称", "作者", "用户", "昵称", "客户", "地址", "公司", "店名", "店铺", "商家",
    "品牌", "型号", "小区", "楼盘", "氏名", "名前", "住所", "订单",
)  # fmt: skip
# What is written after the fact: a model that sorts new messages never has it.
LATE_TEXTS = frozenset({
    "resolution", "reply", "answer", "response", "solution", "completion", "rejected", "chosen",
    "closing", "close", "closed", "closure", "fix", "resolved", "followup", "outcome",
})  # fmt: skip
# What a review says is how well its writer judges.
REVIEWS = frozenset({"review", "reviews", "comment", "comments", "feedback", "opinion"})
CJK_REVIEWS = ("评论", "評論", "评价", "レビュー", "感想")
JUDGEMENTS = frozenset({
    "rating", "ratings", "star", "stars", "score", "sentiment", "polarity", "recommended",
    "recommend",
})  # fmt: skip
CJK_JUDGEMENTS = ("评分", "評分", "评级", "星级", "打分", "得分", "情感", "评价", "評価", "好评")
# Before `name` these are things whose names tell something of them.
NAMED_THINGS = frozenset({
    "product", "item", "recipe", "dish", "book", "movie", "film", "course", "game", "app", "song",
})  # fmt: skip
CJK_NAMED_THINGS = ("商品名", "产品名", "菜名", "书名", "片名", "课程名")
HEADINGS, CJK_HEADINGS = frozenset({"title", "subject", "headline", "name"}), ("标题", "主题")
CJK_LATE_TEXTS = (
    "回复", "回覆", "答案", "回答", "解决", "处理结果", "处理意见", "答复", "结案", "结单", "关闭",
    "处理方案", "处理过程", "対応", "返信",
)  # fmt: skip
LATE_OUTCOMES = frozenset({"rating", "satisfaction", "csat", "nps", "resolved", "closed", "status"})
CJK_LATE_OUTCOMES = ("满意", "评分", "评价", "满意度", "状态")
# Of these where no review is beside them: a message says nothing of how its answer pleased.
SATISFACTION, CJK_SATISFACTION = frozenset({"satisfaction", "csat", "nps"}), ("满意",)
# Names that never teach: they identify a row, not what it says.
IDENTIFIER_WORDS = frozenset({
    "id", "ids", "qid", "uid", "pid", "tid", "gid", "cid", "sid", "uuid", "guid", "key", "index",
    "hash", "url", "link", "href", "date", "datetime", "time", "timestamp", "created", "updated",
    "unnamed", "rownum", "dteday",
})  # fmt: skip
ADDRESS_WORDS = frozenset({"url", "link", "href"})
# Alone among those above and in a column of numbers these say how long something took.
SPAN_WORDS, CJK_SPANS = frozenset({"time"}), ("时间",)
TIMES_TAKEN = [["time", word] for word in ("taken", "spent", "to", "in", "until", "elapsed")]
# Of numbers that come again these are measures or codes: a body mass index, the key of a song.
MEASURE_WORDS = frozenset({"index", "key"})
CJK_IDENTIFIERS = (
    "编号",
    "序号",
    "链接",
    "网址",
    "日期",
    "时间",
    "手机",
    "电话",
    "身份证",
    "番号",
    "日時",
)
CLASS_NUMBERS = frozenset({"id", "ids", "index", "key", "idx", "code", "number"})
CLASS_WORDS = frozenset({
    "label", "labels", "class", "category", "target", "intent", "sentiment", "species", "topic",
    "type", "emotion", "polarity", "group", "cluster", "digit",
})  # fmt: skip
MIN_SERIES, MIN_SERIES_SHARE = 3, 0.6
BREAKS = re.compile(r"[^a-z0-9\u0370-\uffff]+")
ACCENTS = re.compile(r"[\u0300-\u036f]+")
CASE_CHANGES = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
    r"|(?<=[\u0e00-\uffff])(?=[A-Za-z])|(?<=[A-Za-z])(?=[\u0e00-\uffff])"
)


def split_name(name: str) -> list[str]:
    """The words of a name, lower case and without accents."""
    parted = unicodedata.normalize("NFD", CASE_CHANGES.sub("_", name).lower())
    plain = unicodedata.normalize("NFC", ACCENTS.sub("", parted))
    return [word for word in BREAKS.split(plain) if word]


def target_name_score(name: str) -> float:
    """From 0, no target by its name, to 6."""
    outer, _, field = name.rpartition(".")
    words = split_name(outer if field in NAME_FIELDS and outer else name)
    found = _cjk_score(name, CJK_TARGET_WORDS)
    if name.strip().startswith("是否"):
        found = max(found, 5.0)
    if not words:
        return found
    if is_numbered_class_name(name):
        return 5.0
    *before, last = _put_noun_last(words)
    score = float(TARGET_WORDS.get(last, FOREIGN_TARGET_WORDS.get(last, 0)))
    if before and last in GENERIC_NOUNS and not SUBJECTS_OF_TRIAGE & {before[-1]}:
        score /= 2
    share = 0.3 if last in QUALIFIERS else 0.6
    if last == "value" and before and before[-1] in VALUED_THINGS:
        score = 6.0
    if before and last in ENDINGS and before[-1] in CASES:
        score = CASE_ENDING_SCORE
    is_span = last in SPAN_WORDS or words[:2] in TIMES_TAKEN or _has_cjk(name, CJK_SPANS)
    if before and is_span and may_name_span(name):
        score = max(score, SPAN_SCORE)
    if words[0] in ("is", "has") and before and last not in PLACES_AND_PEOPLE:
        score, share = max(score, 3.0), 1.0
    # What is written at the close is no closing price.
    others = max((TARGET_WORDS.get(word, 0) for word in before if word != "close"), default=0)
    score = max(found, score, others * share)
    score += UNIT_BONUS if score and _ends_in_unit(words) else 0.0
    return score * (GUESS_SHARE if GUESSES & set(words) else 1)


def _ends_in_unit(words: list[str]) -> bool:
    is_in_two = len(words) > 2 and "".join(words[-2:]) in UNIT_WORDS  # kWh.
    return is_in_two or (len(words) > 1 and words[-1] in UNIT_WORDS)


def _put_noun_last(words: list[str]) -> list[str]:
    """`quality of sleep` as `sleep quality`, and `delay_min` as `delay`."""
    if _ends_in_unit(words):
        words = words[:-1] if words[-1] in UNIT_WORDS else words[:-2]
        words = words[:-1] if len(words) > 1 and words[-1] == "in" else words
    place = words.index("of") if "of" in words[1:-1] else 0
    return words[place + 1 :] + words[:place] if place else words


def is_sorting_name(name: str) -> bool:
    """Whether cells say which kind a thing is of."""
    return bool(SORTING_WORDS & set(split_name(name)[-1:]))


def route_bonus(name: str, names: Sequence[str]) -> float:
    """What a group or a queue gains among columns that only help desks have."""
    known = sum(bool(HELP_DESK_WORDS & set(split_name(other))) for other in names)
    is_route = bool(ROUTES & set(split_name(name)[-1:]))
    return ROUTE_BONUS if is_route and known >= MIN_HELP_DESK_COLUMNS else 0.0


def names_measure(name: str) -> bool:
    """Whether `index` or `key` is all that makes the name one of an identifier."""
    words = {word.rstrip("0123456789") for word in split_name(name)}
    return bool(MEASURE_WORDS & words) and not (IDENTIFIER_WORDS - MEASURE_WORDS) & words


def names_place_in_plane(name: str, names: Sequence[str]) -> bool:
    """Whether the name is `y` and stands beside an `x`."""
    return name.strip().lower() == "y" and any(other.strip().lower() == "x" for other in names)


def names_quantity(name: str) -> bool:
    """Whether what it says is a number by its nature."""
    words = split_name(name)
    return bool(words) and words[-1] in QUANTITIES


def find_series(names: Sequence[str]) -> set[str]:
    """Names that are counted through, such as `x1`, `x2`, `x3`: they describe a row together. None
    where all are, as in a table without a header, or few."""
    if not names:
        return set()
    by_stem: dict[str, set[str]] = {}
    for name in names:
        stem = name.rstrip("0123456789")
        if stem != name:
            by_stem.setdefault(stem.casefold(), set()).add(name)
    found = {name for same in by_stem.values() if len(same) >= MIN_SERIES for name in same}
    return found if MIN_SERIES_SHARE * len(names) <= len(found) < len(names) else set()


def text_name_score(name: str) -> float:
    """From 0, no text by its name, to 6."""
    outer, _, field = name.rpartition(".")
    if outer and field.lower() not in VALUE_FIELDS:
        name = field  # `tweet.favorite_count` is no tweet.
    words = split_name(name)
    known = TEXT_WORDS | FOREIGN_TEXT_WORDS
    score = max((known.get(word.rstrip("0123456789"), 0) for word in words), default=0)
    return max(float(score), _cjk_score(name, CJK_TEXT_WORDS))


def is_identifier_name(name: str) -> bool:
    words = {word.rstrip("0123456789") for word in split_name(name)}  # qid1 and qid2.
    return (
        bool(IDENTIFIER_WORDS & words)
        or _has_cjk(name, CJK_IDENTIFIERS)
        or name.lower().endswith(("_at", "_on"))
    )


def may_name_span(name: str) -> bool:
    """Whether `delivery_time` and the like, over numbers, tell how long and not when."""
    words = set(split_name(name))
    is_named = bool(SPAN_WORDS & words) or _has_cjk(name, CJK_SPANS)
    others = [word for word in CJK_IDENTIFIERS if word not in CJK_SPANS]
    return (
        is_named
        and not (IDENTIFIER_WORDS - SPAN_WORDS) & words
        and not _has_cjk(name, tuple(others))
        and not name.lower().endswith(("_at", "_on"))
    )


def is_satisfaction_name(name: str) -> bool:
    return bool(SATISFACTION & set(split_name(name))) or _has_cjk(name, CJK_SATISFACTION)


def is_numbered_class_name(name: str) -> bool:
    """Whether the name is of a class by its number, such as `Class Index` or `label_id`."""
    words = split_name(name)
    is_class = bool(CLASS_WORDS & set(words)) or "answer" in words
    return len(words) > 1 and is_class and words[-1] in CLASS_NUMBERS


def is_person_or_thing_name(name: str) -> bool:
    """Whether cells call somebody or something by name: short, different and no prose."""
    words = split_name(name)
    if _cjk_score(name, CJK_TEXT_WORDS):  # What a customer wrote is no customer.
        return False
    return bool(words and words[-1] in PERSON_NAMES) or _has_cjk(name, CJK_PERSON_NAMES)


def describes_where_or_who(name: str) -> bool:
    """Whether the column is a usual feature: of a person, a place, a season, a channel."""
    words = split_name(name)
    return bool(words and words[-1] in PLACES_AND_PEOPLE) or _has_cjk(name, CJK_PLACES_AND_PEOPLE)


def is_review_name(name: str) -> bool:
    return bool(REVIEWS & set(split_name(name))) or _has_cjk(name, CJK_REVIEWS)


def is_judgement_name(name: str) -> bool:
    return bool(JUDGEMENTS & set(split_name(name))) or _has_cjk(name, CJK_JUDGEMENTS)


def names_thing(name: str) -> bool:
    """Whether cells are the names of products, books and the like."""
    words = split_name(name)
    is_named = words[-1:] == ["name"] and bool(NAMED_THINGS & set(words))
    return is_named or _has_cjk(name, CJK_NAMED_THINGS)


def is_address_name(name: str) -> bool:
    """Whether cells are addresses of pages, which tell something where nothing else does."""
    words = set(split_name(name)) & IDENTIFIER_WORDS
    return bool(words) and words <= ADDRESS_WORDS


def is_heading_name(name: str) -> bool:
    return bool(HEADINGS & set(split_name(name))) or _has_cjk(name, CJK_HEADINGS)


def is_late_text_name(name: str) -> bool:
    return bool(LATE_TEXTS & set(split_name(name))) or _has_cjk(name, CJK_LATE_TEXTS)


def is_late_outcome_name(name: str) -> bool:
    return bool(LATE_OUTCOMES & set(split_name(name))) or _has_cjk(name, CJK_LATE_OUTCOMES)


def is_class_name(name: str) -> bool:
    """Whether numbers under this name stand for classes."""
    return bool(CLASS_WORDS & set(split_name(name))) or _has_cjk(
        name, ("标签", "类别", "分类", "情感", "类型")
    )


def _cjk_score(name: str, words: dict[str, int]) -> float:
    return float(max((score for word, score in words.items() if word in name), default=0))


def _has_cjk(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name for word in words)
