"""Texts of allauth whose own translation calls things otherwise than our pages do.

Its pages stand among ours. Such a text is collected with ours, and our translation of it counts.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import allauth
from babel.messages.pofile import read_po

PO_FILE = "locale/{language}/LC_MESSAGES/django.po"
# An e-mail address is 邮箱, an account 账户, a passkey 通行密钥, a second factor 双重验证.
OTHER_WORDS = {
    "zh_Hans": re.compile(r"电子邮件|[Ee]mail|帐|认证器|[Pp]asskey|\btoken|Hello|双因素|两步")
}


NOT_SHOWN = "(ENTER)"  # Of allauth's own identity provider.
PLACEHOLDERS = re.compile(r"%\(\w+\)s|\{\w+\}|<[^>]*>")


def texts_of(language: str) -> Iterator[str]:
    path = Path(allauth.__file__).parent / PO_FILE.format(language=language)
    with path.open("rb") as file:
        messages = read_po(file, locale=language)
    for message in messages:
        if not message.id or not isinstance(message.id, str) or NOT_SHOWN in message.id:
            continue
        if OTHER_WORDS[language].search(PLACEHOLDERS.sub("", str(message.string))):
            yield message.id
