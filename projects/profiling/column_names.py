"""Scores what a column's name says about its use, in English, Chinese and some other languages.

A name is split into words at blanks, signs and changes of case, without accents. English puts the
noun last, or before `of`, so that this word counts most: `customer_rating` and `rating of
customers` are ratings, `rating_count` is a count. Chinese and Japanese names are not split; their
words count anywhere in the name.
"""

import re
import unicodedata
from collections.abc import Sequence

from projects.profiling.english_names import (
    GENERIC_NOUNS,
    HELP_DESK_WORDS,
    PERSON_NAMES,
    PLACES_AND_PEOPLE,
    QUALIFIERS,
    QUANTITIES,
    RATE_UNITS,
    SUBJECTS_OF_TRIAGE,
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

# Fields that hold the name of the object they belong to: `category.name` is a category.
NAME_FIELDS = frozenset({"name", "display_value", "displayName"})
VALUE_FIELDS = frozenset(
    {"label", "value", "name", "raw", "html", "plain", "string", "#text", "$t"}
)
# Predictions of a model, which no person has confirmed.
GUESSES = frozenset({"prediction", "predictions", "predicted", "suggestion", "suggestions", "pred"})
GUESS_SHARE = 0.3
PAID_THINGS = frozenset({"fare", "rent", "fee", "salary", "wage", "wages", "sales", "charges"})
# Before a word of ENDINGS, these make a target: a loan's status is how the loan ended.
CASES = frozenset({
    "loan", "claim", "application", "subscription", "account", "customer", "patient", "admission",
    "inspection", "test", "exam", "treatment", "campaign", "machine", "payment", "appointment",
})  # fmt: skip
ENDINGS = frozenset({"status", "result", "outcome", "condition"})
CASE_ENDING_SCORE = 5.0
UNIT_BONUS = 1.0  # salary_in_usd beside salary, which is in many currencies.
# Words for sorting things. In a table of features such a column is a feature, unless it is last.
SORTING_WORDS = frozenset({
    "category", "categories", "class", "type", "group", "topic", "topics", "tag", "tags", "queue",
    "department", "team", "product", "priority",
})  # fmt: skip
ROUTES = frozenset({"group", "queue", "team", "department", "category", "component"})
MIN_HELP_DESK_COLUMNS, ROUTE_BONUS = 3, 3.0
SPAN_SCORE = 3.0
# Values that say how something ended or was judged, whatever the column's name is.
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
DIRECTIONS = frozenset({"up", "down", "show"})  # `4.1 and up` is not an outcome.
VALUED_THINGS = frozenset({"house", "home", "property", "market", "sale", "lifetime"})
CJK_PLACES_AND_PEOPLE = (
    "性别", "年龄", "城市", "地区", "省份", "省", "区域", "学历", "婚姻", "职业", "渠道", "月份",
    "年份", "星期", "季节", "民族", "国家", "地址", "楼层", "朝向", "小区", "邮编", "经度", "纬度",
    "版本", "品牌", "型号", "商家", "店铺", "店名", "性別", "年齢", "地域",
)  # fmt: skip
CJK_PERSON_NAMES = (
    "姓名", "名字", "名称", "作者", "用户", "昵称", "客户", "地址", "公司", "店名", "店铺", "商家",
    "品牌", "型号", "小区", "楼盘", "氏名", "名前", "住所", "订单",
)  # fmt: skip
# Texts that are written after the outcome is known: a new message does not have them yet.
LATE_TEXTS = frozenset({
    "resolution", "reply", "answer", "response", "solution", "completion", "rejected", "chosen",
    "closing", "close", "closed", "closure", "fix", "resolved", "followup", "outcome",
})  # fmt: skip
# What is graded: a grade beside a question and an answer is of the answer.
ANSWERS = frozenset({"answer", "response", "completion", "reply"})
GRADES = frozenset({
    "score", "grade", "rating", "quality", "correct", "correctness", "relevance", "helpfulness",
    "marks", "points",
})  # fmt: skip
# Values without blanks that say how far a request has come, which its text does not tell.
WORKFLOW_VALUES = frozenset({
    "open", "closed", "new", "pending", "solved", "resolved", "inprogress", "onhold", "done",
    "todo", "waiting", "assigned", "reopened", "inreview", "offen", "geschlossen", "neu",
    "inbearbeitung", "erledigt", "abierto", "cerrado", "pendiente", "resuelto", "enproceso",
    "ouvert", "fermé", "clos", "encours", "résolu", "aberto", "fechado", "aperto", "chiuso",
    "已解决", "未解决", "处理中", "待处理", "未处理", "已处理", "已关闭", "新建", "已完成",
    "进行中",
})  # fmt: skip
# Words for reviews, which predict the rating that their writer gives.
REVIEWS = frozenset({"review", "reviews", "comment", "comments", "feedback", "opinion"})
CJK_REVIEWS = ("评论", "評論", "评价", "レビュー", "感想")
JUDGEMENTS = frozenset({
    "rating", "ratings", "star", "stars", "score", "sentiment", "polarity", "recommended",
    "recommend",
})  # fmt: skip
CJK_JUDGEMENTS = ("评分", "評分", "评级", "星级", "打分", "得分", "情感", "评价", "評価", "好评")
# Before `name`: things whose names describe them.
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
# These are late outcomes beside a message, which comes before its answer; not beside a review.
SATISFACTION, CJK_SATISFACTION = frozenset({"satisfaction", "csat", "nps"}), ("满意",)
# Words that name identifiers and times, which describe no row.
IDENTIFIER_WORDS = frozenset({
    "id", "ids", "qid", "uid", "pid", "tid", "gid", "cid", "sid", "uuid", "guid", "key", "index",
    "hash", "url", "link", "href", "date", "datetime", "time", "timestamp", "created", "updated",
    "unnamed", "rownum", "dteday",
})  # fmt: skip
ADDRESS_WORDS = frozenset({"url", "link", "href"})
# Without another word of IDENTIFIER_WORDS, and over numbers, these are durations.
SPAN_WORDS, CJK_SPANS = frozenset({"time"}), ("时间",)
TIMES_TAKEN = [["time", word] for word in ("taken", "spent", "to", "in", "until", "elapsed")]
# Over numbers that repeat, these are measures or codes: a body mass index, the key of a song.
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
    """How likely a column of this name is a target, from 0 to about 6."""
    outer, _, field = name.rpartition(".")
    words = split_name(outer if field in NAME_FIELDS and outer else name)
    cjk_score = _cjk_score(name, CJK_TARGET_WORDS)
    if name.strip().startswith("是否"):
        cjk_score = max(cjk_score, 5.0)
    if not words:
        return cjk_score
    if is_numbered_class_name(name):
        return 5.0
    *before, last = _put_noun_last(words)
    score = float(TARGET_WORDS.get(last, FOREIGN_TARGET_WORDS.get(last, 0)))
    if before and last in GENERIC_NOUNS and not SUBJECTS_OF_TRIAGE & {before[-1]}:
        score /= 2
    share = 0.3 if last in QUALIFIERS else 0.6
    if last == "amount" and before and before[-1] in PAID_THINGS:
        share = 1.0
    if last == "value" and before and before[-1] in VALUED_THINGS:
        score = 6.0
    if before and last in ENDINGS and before[-1] in CASES:
        score = CASE_ENDING_SCORE
    is_span = last in SPAN_WORDS or words[:2] in TIMES_TAKEN or _has_cjk(name, CJK_SPANS)
    if before and is_span and may_name_span(name):
        score = max(score, SPAN_SCORE)
    if words[0] in ("is", "has") and before and last not in PLACES_AND_PEOPLE:
        score, share = max(score, 3.0), 1.0
    # `close_notes` are notes at the close, not a closing price.
    others = max((TARGET_WORDS.get(word, 0) for word in before if word != "close"), default=0)
    # Romance languages put the noun first: `tipo_reclamo`, `precio_de_venta`.
    first = FOREIGN_TARGET_WORDS.get(words[0], 0) * (share if last in QUALIFIERS else 0.8)
    score = max(cjk_score, score, others * share, first)
    score += UNIT_BONUS if score and _count_unit_words(words) else 0.0
    return score * (GUESS_SHARE if is_guess_name(name) else 1)


def _count_unit_words(words: list[str]) -> int:
    """How many words at the end are a unit, such as `usd`, `k wh` (which was split at its capital
    letter), `mg l` and `per m2`."""
    if len(words) > 2:
        is_rate = words[-1] in RATE_UNITS and words[-2] in RATE_UNITS | {"per"}
        if is_rate or "".join(words[-2:]) in UNIT_WORDS:
            return 2
    return int(len(words) > 1 and words[-1] in UNIT_WORDS)


def _put_noun_last(words: list[str]) -> list[str]:
    """`quality of sleep` as `sleep quality`, and `delay_min` as `delay`."""
    if unit := _count_unit_words(words):
        words = words[:-unit]
        words = words[:-1] if len(words) > 1 and words[-1] in ("in", "per") else words
    place = words.index("of") if "of" in words[1:-1] else 0
    return words[place + 1 :] + words[:place] if place else words


def is_guess_name(name: str) -> bool:
    return bool(GUESSES & set(split_name(name)))


def is_generic_name(name: str) -> bool:
    """Whether it says which kind or how many of something else, as load_type and guest_count."""
    words = split_name(name)
    return len(words) > 1 and words[-1] in ("type", "group", "level", "count")


def is_sorting_name(name: str) -> bool:
    """Whether the name is of a category that things are sorted by."""
    return bool(SORTING_WORDS & set(split_name(name)[-1:]))


def route_bonus(name: str, names: Sequence[str]) -> float:
    """The bonus of a group or queue in a table that comes from a help desk; else 0."""
    is_route = bool(ROUTES & set(split_name(name)[-1:]))
    return ROUTE_BONUS if is_route and come_from_help_desk(names) else 0.0


def come_from_help_desk(names: Sequence[str]) -> bool:
    columns = sum(bool(HELP_DESK_WORDS & set(split_name(name))) for name in names)
    return columns >= MIN_HELP_DESK_COLUMNS


def names_measure(name: str) -> bool:
    """Whether the name has `index` or `key`, which may be measures, and no other word of an
    identifier."""
    words = {word.rstrip("0123456789") for word in split_name(name)}
    return bool(MEASURE_WORDS & words) and not (IDENTIFIER_WORDS - MEASURE_WORDS) & words


def is_y_coordinate(name: str, names: Sequence[str]) -> bool:
    """Whether the name has the word `y`, and another one has `x` in its place, as `acc_y` beside
    `acc_x`: a coordinate, not a target."""
    words = split_name(name)
    if "y" not in words:
        return False
    twin = ["x" if word == "y" else word for word in words]
    return any(split_name(other) == twin for other in names)


def names_quantity(name: str) -> bool:
    """Whether the name is of a quantity such as a price."""
    words = split_name(name)
    return bool(words) and words[-1] in QUANTITIES


def find_series(names: Sequence[str]) -> set[str]:
    """Numbered names, such as `x1`, `x2`, `x3`, which are inputs of one kind. Empty where all names
    are numbered, as in a table without a header, or where few are."""
    if not names:
        return set()
    by_stem: dict[str, set[str]] = {}
    for name in names:
        stem = name.rstrip("0123456789")
        if stem != name:
            by_stem.setdefault(stem.casefold(), set()).add(name)
    series = {name for same in by_stem.values() if len(same) >= MIN_SERIES for name in same}
    return series if MIN_SERIES_SHARE * len(names) <= len(series) < len(names) else set()


def text_name_score(name: str) -> float:
    """How likely a column of this name is free text, from 0 to 6."""
    outer, _, field = name.rpartition(".")
    if outer and field.lower() not in VALUE_FIELDS:
        name = field  # `tweet.favorite_count` is not a tweet.
    words = split_name(name)
    scores = TEXT_WORDS | FOREIGN_TEXT_WORDS
    score = max((scores.get(word.rstrip("0123456789"), 0) for word in words), default=0)
    return max(float(score), _cjk_score(name, CJK_TEXT_WORDS))


def is_identifier_name(name: str) -> bool:
    words = {word.rstrip("0123456789") for word in split_name(name)}  # qid1 and qid2.
    return (
        bool(IDENTIFIER_WORDS & words)
        or _has_cjk(name, CJK_IDENTIFIERS)
        or name.lower().endswith(("_at", "_on"))
    )


def may_name_span(name: str) -> bool:
    """Whether numbers under this name, such as `delivery_time`, may be durations."""
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
    """Whether the name is of the number of a class, such as `Class Index` or `label_id`."""
    words = split_name(name)
    is_class = bool(CLASS_WORDS & set(words)) or "answer" in words
    return len(words) > 1 and is_class and words[-1] in CLASS_NUMBERS


def is_person_or_thing_name(name: str) -> bool:
    """Whether cells are names of people, companies, products and the like."""
    words = split_name(name)
    if _cjk_score(name, CJK_TEXT_WORDS):  # A customer's message is not a customer.
        return False
    return bool(words and words[-1] in PERSON_NAMES) or _has_cjk(name, CJK_PERSON_NAMES)


def describes_where_or_who(name: str) -> bool:
    """Whether the name is of a common feature: of a person, a place, a season, a channel."""
    words = split_name(name)
    return bool(words and words[-1] in PLACES_AND_PEOPLE) or _has_cjk(name, CJK_PLACES_AND_PEOPLE)


def is_review_name(name: str) -> bool:
    return bool(REVIEWS & set(split_name(name))) or _has_cjk(name, CJK_REVIEWS)


def is_judgement_name(name: str) -> bool:
    return bool(JUDGEMENTS & set(split_name(name))) or _has_cjk(name, CJK_JUDGEMENTS)


def names_thing(name: str) -> bool:
    """Whether cells are names of products, books and the like, which describe the thing."""
    words = split_name(name)
    is_named = words[-1:] == ["name"] and bool(NAMED_THINGS & set(words))
    return is_named or _has_cjk(name, CJK_NAMED_THINGS)


def is_address_name(name: str) -> bool:
    """Whether cells are web addresses, which may be read as text where there is no other text."""
    words = set(split_name(name)) & IDENTIFIER_WORDS
    return bool(words) and words <= ADDRESS_WORDS


def is_heading_name(name: str) -> bool:
    return bool(HEADINGS & set(split_name(name))) or _has_cjk(name, CJK_HEADINGS)


def is_late_text_name(name: str) -> bool:
    return bool(LATE_TEXTS & set(split_name(name))) or _has_cjk(name, CJK_LATE_TEXTS)


def is_answer_name(name: str) -> bool:
    return bool(ANSWERS & set(split_name(name)[-1:]))


def is_grade_name(name: str) -> bool:
    return bool(GRADES & set(split_name(name)[-1:]))


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
