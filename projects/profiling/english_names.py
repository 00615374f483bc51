"""English words of columns' names, with how surely they name a target or a
text, and words that speak for or against one."""

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
    "defect": 5, "defective": 6, "malignant": 6, "mortality": 4, "infected": 6, "satisfaction": 5,
    "satisfied": 5, "rent": 5, "fare": 4, "fee": 3, "delay": 4, "duration": 3, "eta": 4,
    "expectancy": 4, "disorder": 5, "chance": 4, "overall": 4, "binary": 5, "diabetes": 3,
    "performance": 4, "usage": 4, "power": 3, "mpg": 4, "count": 2, "profit": 5, "popularity": 4,
    "pollution": 4, "pm25": 4, "pm2": 4, "aqi": 5, "closing": 4, "close": 5,
    "burned": 4, "specialty": 5, "speciality": 5, "emission": 4, "emissions": 4,
    "recommended": 4, "recommend": 4, "issuetype": 3,
    "relevance": 6, "relevant": 5, "similarity": 5, "entailment": 6, "stance": 6, "difficulty": 4,
    "component": 4, "components": 4, "efficiency": 4, "solubility": 4, "concentration": 3,
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
    "gbp", "cny", "rmb", "inr", "kwh", "mw", "kg", "km", "pct", "percent", "sqm", "m2", "m3",
})  # fmt: skip
# Two of them behind each other are a rate: yield_t_ha, dose_mg_l, price_per_m2.
RATE_UNITS = frozenset({
    "t", "kg", "g", "mg", "ug", "ha", "l", "ml", "m2", "m3", "km", "km2", "m", "h", "s", "hour",
    "day", "week", "month", "year", "sqm", "sqft", "unit", "person",
})  # fmt: skip
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
PERSON_NAMES = frozenset({
    "name", "names", "author", "user", "username", "customer", "client", "passenger", "company",
    "employer", "address", "street", "city", "cabin", "brand", "model", "artist", "actor",
    "director", "player", "seller", "agent", "manager", "owner", "contact", "location", "timezone",
    "coord", "sku", "dest", "destination", "origin", "home", "isbn",
    "host", "neighborhood", "neighbourhood", "hotel", "airline", "genre",
})  # fmt: skip
# As numbers these are targets; a column of words such as low and high is more likely a feature.
QUANTITIES = frozenset({
    "price", "prices", "cost", "charges", "salary", "income", "wage", "wages", "sales", "revenue",
    "demand", "value", "consumption",
})  # fmt: skip
# Last words of many features, as in `vehicle_class`. Only a name of one such word is a target.
GENERIC_NOUNS = frozenset({
    "class", "type", "category", "group", "status", "quality", "score", "value", "level", "grade",
    "team", "result", "condition", "cost", "rating",
})  # fmt: skip
# A table with several of these comes from a help desk, where requests go to groups.
HELP_DESK_WORDS = frozenset({
    "requester", "submitter", "assignee", "assigned", "ticket", "priority", "status", "via",
    "channel", "agent", "caller", "reporter",
})  # fmt: skip
