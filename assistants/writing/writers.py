"""Who writes for a version, and how. What decides an answer is frozen into the version; the key of
an address stays with the assistant, and goes to that address only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from urllib.parse import urlsplit

from assistants.models import Assistant, Version
from assistants.writing.instructions import INSTRUCTIONS


@dataclass(frozen=True)
class WriterSettings:
    """As a version keeps them. Prices are of a million tokens, in micro-USD."""

    model: str = ""  # Empty: nobody writes.
    url: str = ""  # Empty: a deployment of the team.
    style: str = ""
    instructions: str = INSTRUCTIONS
    input_price_micro: int = 0
    output_price_micro: int = 0

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def writes_like(self, other: "WriterSettings") -> bool:
        """Whether both say the same; what they cost does not matter."""
        if not self.model and not other.model:
            return True
        parts = (self.model, self.url, self.style, self.instructions)
        return parts == (other.model, other.url, other.style, other.instructions)


@dataclass(frozen=True)
class Writer:
    """Who writes now, in whose name, with which key (encrypted)."""

    settings: WriterSettings
    assistant: Assistant

    @property
    def sealed_key(self) -> str:
        """The encrypted key that was entered for this address; empty where none was."""
        if origin_of(self.settings.url) == origin_of(self.assistant.writer_url):
            return self.assistant.writer_key
        return str(self.assistant.writer_keys.get(origin_of(self.settings.url), ""))

    def price_micro(self, tokens_read: int, tokens_written: int) -> int:
        """What the address asks for these tokens, rounded up; a deployment is billed by tokens."""
        if not self.settings.url:
            return 0
        priced, today = self.settings, configured(self.assistant)
        if (today.url, today.model) == (priced.url, priced.model):
            priced = today  # A price decides no answer: it counts at once.
        price = tokens_read * priced.input_price_micro + tokens_written * priced.output_price_micro
        return -(-price // 1_000_000)


def configured(assistant: Assistant) -> WriterSettings:
    """What the next version will freeze."""
    return WriterSettings(
        model=assistant.writer_model,
        url=assistant.writer_url,
        style=assistant.writing_style,
        input_price_micro=assistant.writer_input_price_micro,
        output_price_micro=assistant.writer_output_price_micro,
    )


def freeze(assistant: Assistant) -> dict[str, object]:
    """What a version keeps; it holds no key."""
    return asdict(configured(assistant))


def settings_of(version: Version) -> WriterSettings:
    """Those that the version froze; code of before froze none, and took the assistant's."""
    if version.writer is None:
        return configured(version.assistant)
    known = {field.name for field in fields(WriterSettings)}
    return WriterSettings(**{key: value for key, value in version.writer.items() if key in known})


def writer_of(version: Version) -> Writer | None:
    """None where nobody writes."""
    settings = settings_of(version)
    return Writer(settings, version.assistant) if settings.model else None


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if url else ""


def keys_after(assistant: Assistant, sent: Mapping[str, object]) -> dict[str, object]:
    """What happens to keys where an address changes: each stays with its own address. The former
    ones are kept as long as a version may ask there."""
    changes: dict[str, object] = {}
    before, after = assistant.writer_url, str(sent.get("writer_url", assistant.writer_url))
    if origin_of(before) != origin_of(after):
        keys = dict(assistant.writer_keys)
        if before and assistant.writer_key:
            keys[origin_of(before)] = assistant.writer_key
        versions = assistant.versions.exclude(writer=None).values_list("writer__url", flat=True)
        origins = {origin_of(url) for url in versions if url}
        changes["writer_keys"] = {name: key for name, key in keys.items() if name in origins}
        changes["writer_key"] = keys.get(origin_of(after), "")
    voice_url = str(sent.get("voice_url", assistant.voice_url))
    if origin_of(voice_url) != origin_of(assistant.voice_url):
        changes["voice_key"] = ""
    return changes
