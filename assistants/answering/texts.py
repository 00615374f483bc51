"""What an assistant says of itself, in Chinese and English; an assistant's own words win."""

from assistants.models import Assistant

DEFAULT_TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "greeting": "Hello! What would you like to know?",
        "disclosure": "You are talking to an AI. You can ask for a person at any time.",
        "refusal": "I do not have a reliable answer to that. Would you like to talk to a person?",
        "ask": "Did you mean one of these?",
        "handed_over": "A person will take over. Your message is waiting for the next free one.",
        "handed_over_closed": "Nobody is here at the moment. Your message waits until somebody is:"
        " {hours}.",
        "waits_again": "Sorry, nobody could answer you yet. Your message is waiting for another"
        " person.",
        "quote": "I found this in “{title}”:",
        "person": "Talk to a person",
        "busy": "A person has taken over and will reply here.",
    },
    "zh": {
        "greeting": "您好！请问有什么可以帮您？",
        "disclosure": "您正在与人工智能助手对话，您可以随时要求转接人工。",
        "refusal": "这个问题我没有可靠的答案。需要为您转接人工客服吗？",
        "ask": "您想问的是下面哪一个？",
        "handed_over": "已为您转接人工客服，请稍候，客服会尽快回复。",
        "handed_over_closed": "现在没有客服在线，您的留言将在工作时间得到回复：{hours}。",
        "waits_again": "抱歉，暂时还没有人回复您，您的消息正在等待另一位客服。",
        "quote": "我在《{title}》中找到：",
        "person": "转人工",
        "busy": "人工客服已接入，将在这里回复您。",
    },
}


def text_of(assistant: Assistant, name: str, language: str) -> str:
    """The assistant's own sentence in this language, else ours, else ours in English."""
    own = (assistant.texts or {}).get(language, {}).get(name)
    return str(own or DEFAULT_TEXTS.get(language, DEFAULT_TEXTS["en"])[name])
