"""What a column's name says about its use, in English, Chinese and some of other languages.

A name is split into words at blanks, signs and changes of case, and loses its accents. English puts
the noun last, or before `of`, so that this word counts most: `customer_rating` and `rating of
customers` are ratings, `rating_count` is a count. Chinese and
Japanese names are not split; a word counts wherever it stands.
"""

import re
import unicodedata
from collections.abc import Sequence

from projects.profiling.foreign_names import (
    CJK_TARGET_WORDS,
    CJK_TEXT_WORDS,
    FOREIGN_TARGET_WORDS,
    FOREIGN_TEXT_WORDS,
)

# How surely a column of this name is what a model should learn.
TARGET_WORDS = {
    "label": 6, "labels": 6, "target": 6, "category": 6, "class": 6, "intent": 6, "sentiment": 6,
    "categories": 6, "classes": 6, "intents": 6, "topics": 5, "tags": 5, "emotion": 6,
    "polarity": 6, "annotation": 6, "annotations": 6,
    "queue": 5, "topic": 5, "tag": 5, "outcome": 5, "output": 4, "y": 4, "type": 3, "department": 4,
    "team": 3, "priority": 3, "severity": 4, "urgency": 3, "rating": 4, "stars": 4, "star": 4,
    "score": 4, "quality": 5, "risk": 4, "status": 2, "group": 2, "spam": 6, "churn": 6,
    "churned": 6, "exited": 6, "attrition": 6, "survived": 6, "died": 6, "death": 4, "default": 5,
    "defaulted": 6, "fraud": 6, "fraudulent": 6, "cancelled": 6, "canceled": 6, "converted": 5,
    "conversion": 4, "purchased": 5, "revenue": 4, "product": 2, "subscribed": 5, "approved": 5,
    "approval": 4, "species": 5, "variety": 4, "diagnosis": 6, "disease": 4, "failure": 5,
    "price": 5, "prices": 5, "cost": 3, "charges": 4, "salary": 5, "income": 2, "wage": 4,
    "wages": 4, "sales": 5, "demand": 4, "cnt": 3, "medv": 6, "value": 3, "toxic": 5, "toxicity": 5,
    "language": 3, "lang": 3, "answer": 1, "result": 3, "grade": 3, "yield": 4, "consumption": 3,
    "strength": 3, "rings": 3, "won": 3, "win": 3, "winner": 3, "hired": 5, "delayed": 4,
    "left": 5, "quit": 5, "resigned": 6, "turnover": 5, "retained": 5, "returned": 4, "clicked": 6,
    "bought": 5, "repaid": 5, "accepted": 5, "admitted": 5, "passed": 4, "success": 5, "failed": 5,
    "readmitted": 6, "relapse": 5, "responded": 5, "upgraded": 5, "renewed": 5, "anomaly": 6,
    "defect": 5, "defective": 6, "malignant": 6, "mortality": 6, "infected": 6, "satisfaction": 5,
    "satisfied": 5, "rent": 5, "fare": 4, "fee": 3, "delay": 4, "duration": 3, "eta": 4,
    "expectancy": 6, "disorder": 5, "chance": 4,
    "burned": 4, "specialty": 5, "speciality": 5, "emission": 4, "emissions": 4,
    "recommended": 4, "recommend": 4, "issuetype": 3,
    "relevance": 6, "relevant": 5, "similarity": 5, "entailment": 6, "stance": 6, "difficulty": 4,
}  # fmt: skip
TEXT_WORDS = {
    "text": 6, "message": 6, "subject": 5, "title": 4, "body": 6, "question": 5, "answer": 3,
    "content": 6, "review": 6, "reviews": 6, "sentence": 6, "comment": 6, "comments": 6,
    "description": 5, "utterance": 6, "query": 5, "ticket": 3, "email": 3, "mail": 3, "tweet": 6,
    "post": 4, "headline": 5, "summary": 4, "document": 5, "abstract": 5, "feedback": 6,
    "request": 4, "input": 3, "sms": 6, "complaint": 5, "narrative": 6, "note": 4, "notes": 4,
    "transcript": 6, "article": 5, "statement": 4, "problem": 4,
    "issue": 4, "premise": 5, "hypothesis": 5, "passage": 6, "paragraph": 6, "story": 5, "essay": 6,
    "lyrics": 6, "caption": 5, "prompt": 5, "plot": 4, "bio": 4, "symptoms": 5, "instruction": 5,
    "remark": 5, "remarks": 5,
}  # fmt: skip
# Words after which a name means something about the thing, not the thing itself.
QUALIFIERS = frozenset({
    "confidence", "count", "reason", "gold", "code", "number", "num", "no", "nr", "prob",
    "probability", "index", "rank", "source", "url", "link", "name", "area", "year", "yr", "month",
    "date", "time", "length", "size", "level",
})  # fmt: skip
# Behind what was measured, as in delay_min and price_usd.
UNIT_WORDS = frozenset({
    "min", "mins", "minutes", "sec", "secs", "seconds", "ms", "hours", "hrs", "days", "usd", "eur",
    "gbp", "cny", "rmb", "inr", "kwh", "mw", "kg", "km", "pct", "percent", "sqm",
})  # fmt: skip
# Fields by which programs call the object that they belong to.
NAME_FIELDS = frozenset({"name", "display_value", "displayName"})
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
    "relationship", "timezone", "currency", "version", "embarked", "holiday", "model",
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
    if before and may_name_span(name):
        score = max(score, SPAN_SCORE)
    if words[0] in ("is", "has") and before and last not in PLACES_AND_PEOPLE:
        score, share = max(score, 3.0), 1.0
    others = max((TARGET_WORDS.get(word, 0) for word in before), default=0)
    return max(found, score, others * share) * (GUESS_SHARE if GUESSES & set(words) else 1)


def _put_noun_last(words: list[str]) -> list[str]:
    """`quality of sleep` as `sleep quality`, and `delay_min` as `delay`."""
    words = words[:-1] if len(words) > 1 and words[-1] in UNIT_WORDS else words
    place = words.index("of") if "of" in words[1:-1] else 0
    return words[place + 1 :] + words[:place] if place else words


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
