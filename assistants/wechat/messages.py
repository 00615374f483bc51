"""Messages of WeChat as XML: read with defusedxml, written by hand with their text escaped."""

import time
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from assistants.errors import WechatRefused

MAX_BYTES = 2_048  # Of one text message.


@dataclass(frozen=True)
class Incoming:
    """One message or event. `key` is the same for each of WeChat's tries to deliver it."""

    account: str
    sender: str
    kind: str
    text: str
    key: str


def parse_xml(text: str | bytes) -> dict[str, str]:
    """The elements below the root. Raises WechatRefused for what is no plain small XML."""
    try:
        root = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise WechatRefused("This is no message of WeChat's.") from error
    return {child.tag: child.text or "" for child in root}


def read_message(fields: dict[str, str]) -> Incoming:
    """A voice message is taken as the text that WeChat recognised. Raises WechatRefused."""
    sender, account = fields.get("FromUserName", ""), fields.get("ToUserName", "")
    kind = fields.get("MsgType", "")
    if not sender or not account or not kind:
        raise WechatRefused("This is no message of WeChat's.")
    text = fields.get("Content", "") or fields.get("Recognition", "")
    if kind == "event":
        key = f"{sender}:{fields.get('CreateTime', '')}:{fields.get('Event', '')}"
    else:
        key = f"{sender}:{fields.get('MsgId', '')}"
    return Incoming(account, sender, kind, text, key[:100])


def write_reply(message: Incoming, text: str) -> str:
    """A text message back to the sender."""
    return (
        f"<xml><ToUserName>{_cdata(message.sender)}</ToUserName>"
        f"<FromUserName>{_cdata(message.account)}</FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content>{_cdata(text)}</Content></xml>"
    )


def write_envelope(cipher_text: str, signature: str, timestamp: str, nonce: str) -> str:
    """An encrypted reply."""
    return (
        f"<xml><Encrypt>{_cdata(cipher_text)}</Encrypt>"
        f"<MsgSignature>{_cdata(signature)}</MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp><Nonce>{_cdata(nonce)}</Nonce></xml>"
    )


def cut_text(text: str, limit: int = MAX_BYTES) -> tuple[str, str]:
    """As many whole characters as fit into `limit` bytes, and the rest.

    The cut is at a line's end or a space where one is near, so that links stay whole.
    """
    encoded = text.encode()
    if len(encoded) <= limit:
        return text, ""
    start = encoded[:limit].decode("utf-8", "ignore")
    place = max(start.rfind("\n"), start.rfind(" "))
    if place > len(start) // 2:
        start = start[: place + 1]
    return start, text[len(start) :]


def _cdata(text: str) -> str:
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"
