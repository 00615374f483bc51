"""What a version makes of a question: read once, and only if somebody asks."""

from dataclasses import dataclass, replace
from functools import cached_property

from assistants.answering.embedder import embed
from assistants.answering.language import detect_language
from assistants.answering.matching import Match, match
from assistants.answering.phrasing_index import Vector
from assistants.models import Assistant, Version, VersionStatus
from assistants.rules.matching import Reader, Situation


@dataclass(eq=False)
class Reading:
    """Raises EncoderUnavailable where the question cannot be read."""

    version: Version
    text: str
    language: str

    @cached_property
    def vector(self) -> Vector:
        vector: Vector = embed(self.version, [self.text])[0]
        return vector

    @cached_property
    def matched(self) -> Match | None:
        return match(self.version, self.language, self.text, self.vector)

    def complete(self, situation: Situation) -> Situation:
        """With the likeliest topic and how likely it is, for rules that ask for them."""
        if self.matched is None:
            return replace(situation, topic="", confidence=0.0)
        first = self.matched.candidates[0].key
        return replace(situation, topic=first, confidence=self.matched.confidence)


def reader_of(version: Version) -> Reader:
    """Completes situations as this version reads them: examples of rules are tried so."""

    def read(situation: Situation) -> Situation:
        language = detect_language(situation.text, version.assistant.languages)
        return Reading(version, situation.text, language).complete(situation)

    return read


def newest_reader(assistant: Assistant) -> Reader | None:
    """That of the live version, else of the newest that was measured; None without any."""
    read = assistant.versions.filter(status__in=[VersionStatus.LIVE, VersionStatus.MEASURED])
    version = read.select_related("assistant").order_by("status", "-number").first()
    return reader_of(version) if version else None
