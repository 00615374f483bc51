"""Reads Slack's export: a folder for each channel with a file of messages for each day, whose
messages have different fields from day to day."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from projects.reading.encodings.detection import decode_text
from projects.reading.images.zip_archive import UnreadableEntry, ZipArchive, ZipEntry
from projects.reading.limits import MAX_JSON_DOCUMENT_BYTES
from projects.reading.results import Issues

DAY = re.compile(r"\d{4}-\d\d-\d\d[.]json")
COMPANIONS = frozenset({
    "users.json", "channels.json", "groups.json", "dms.json", "mpims.json", "canvases.json",
    "integration_logs.json", "org_users.json", "file_conversations.json", "huddle_transcripts.json",
})  # fmt: skip
MIN_DAYS = 2


def find_days(archive: ZipArchive) -> list[ZipEntry]:
    """The files of days of a Slack export, by channel and day; [] of any other archive."""
    entries = [entry for entry in archive.entries() if not entry.is_system_file and entry.parts]
    days = [entry for entry in entries if DAY.fullmatch(entry.parts[-1])]
    others = {entry.parts[-1] for entry in entries if not DAY.fullmatch(entry.parts[-1])}
    if len(days) < MIN_DAYS or not others <= COMPANIONS:
        return []
    return sorted(days, key=lambda entry: entry.parts)


def write_messages(
    archive: ZipArchive, days: Sequence[ZipEntry], target: Path, issues: Issues
) -> None:
    """Write one message a line, with the name of its channel."""
    with open(target, "w", encoding="utf-8") as file:
        for entry in days:
            try:
                messages = json.loads(decode_text(archive.read(entry, MAX_JSON_DOCUMENT_BYTES)))
            except (UnreadableEntry, ValueError, RecursionError) as problem:
                issues.add("rejected_row", f"{entry.name[-80:]} cannot be read: {problem}.")
                continue
            channel = {"channel": entry.parts[-2]} if len(entry.parts) > 1 else {}
            for message in messages if isinstance(messages, list) else [messages]:
                row = {**message, **channel} if isinstance(message, dict) else message
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    issues.add(
        "slack_export",
        f"Messages of {len(days):,} days were joined, as Slack exports them, each with its channel."
        " The lists of people and channels were left out.",
    )
