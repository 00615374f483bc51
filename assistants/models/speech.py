"""What was spoken aloud: the audio, kept for a day, and who may fetch it."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import TeamOwnedQuerySet
from assistants.models.assistant import Assistant
from assistants.models.conversation import Message


class SpeechQuerySet(TeamOwnedQuerySet["Speech"]):
    team_path = "assistant__team"


class Speech(models.Model):
    """One text as audio. The bytes stand in the row: they are small, live for a day, and go with
    whatever they belong to."""

    class Format(models.TextChoices):
        WAV = "wav"
        MP3 = "mp3"

    assistant = models.ForeignKey(Assistant, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)  # Of text, language, format, and who speaks.
    format = models.CharField(max_length=3, choices=Format.choices)
    seconds = models.FloatField()
    content = models.BinaryField()
    made_at = models.DateTimeField(default=now)
    objects = SpeechQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "stored speech"
        constraints = [
            models.UniqueConstraint(name="assistants_speech_once", fields=["assistant", "digest"]),
            models.CheckConstraint(name="assistants_speech_has_sound", condition=Q(seconds__gt=0)),
        ]
        indexes = [models.Index(name="assistants_speech_by_age", fields=["made_at"])]

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s of {self.format}"


class SpokenReply(models.Model):
    """One reply that may be fetched as audio, at an address that only its asker was told. The
    audio is made when it is first fetched."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="+")
    token = models.CharField(max_length=43, unique=True)  # The secret end of its address.
    format = models.CharField(max_length=3, choices=Speech.Format.choices)
    language = models.CharField(max_length=8)
    text = models.TextField()  # What is said of the message.
    is_billed = models.BooleanField()  # Refusals and hand-overs are spoken for nothing.
    speech = models.ForeignKey(Speech, models.SET_NULL, related_name="replies", null=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        verbose_name_plural = "spoken replies"
        constraints = [
            models.UniqueConstraint(name="assistants_spoken_once", fields=["message", "format"])
        ]
        indexes = [models.Index(name="assistants_spoken_by_age", fields=["created_at"])]

    def __str__(self) -> str:
        return self.text[:80]
