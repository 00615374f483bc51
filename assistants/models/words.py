"""What pages call kinds of channels, ways to decide, and reasons."""

KIND_WORDS = {"web": "Web widget", "api": "API", "wechat": "WeChat", "email": "E-mail"}
ROUTE_WORDS = {
    "answer": "answered",
    "ask": "asked back",
    "refuse": "refused",
    "rule": "said by a rule",
    "hand_over": "handed over",
    "quote": "quoted a passage",
    "written": "written from passages",
    "draft": "drafted",
}
HAND_OVER_WORDS = {
    "rule": "A rule says so",
    "two_refusals": "Refused twice",
    "budget": "The daily budget is spent",
    "encoder_down": "The assistant could not read",
    "not_answered": "Not answered in time",
    "csat_1": "Rated 1 of 5",
    "not_given": "What was asked for was not given",
    "email": "An e-mail",
}
# Why a conversation changed hands after that; the reason of its hand-over stays.
MOVE_WORDS = {
    **HAND_OVER_WORDS,
    "owner_gone": "Who had it may no longer use the inbox",
    "no_reply": "Who had it did not reply in time",
    "taken_over": "Taken over from somebody else",
    "assigned": "Given by somebody else",
}
