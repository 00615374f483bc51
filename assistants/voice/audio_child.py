"""Run as a program: converts one audio file, in a process of its own.

    python audio_child.py SOURCE CONTAINER TARGET FORMAT MAX_SECONDS [RATE]

SOURCE is read as CONTAINER, a format of ffmpeg's, and as nothing else, so that no file can name
other files or addresses. TARGET becomes a mono WAV of 16 bits, or an MP3. Prints {"seconds": …},
or {"refused": "too_long" | "unreadable" | "silent"} where the file is at fault. It imports
nothing of ours: the machine's packages are enough for it.
"""

import json
import sys
from typing import Any

import av

TOLERANCE_SECONDS = 0.5  # Encoders fill up their last frame.
DEFAULT_RATE = 22_050
CODECS = {"wav": "pcm_s16le", "mp3": "libmp3lame"}
BITS_PER_SECOND = 64_000  # Of an MP3 with one voice.


class Refused(Exception):
    """The file is at fault; the text is the reason's code."""


def convert(
    source: str, container: str, target: str, format_name: str, max_seconds: float, rate: int = 0
) -> float:
    """The seconds written. Raises Refused."""
    with open(source, "rb") as file:
        try:
            recording = av.open(file, format=container, metadata_errors="replace")
            stream = recording.streams.audio[0]
        except (av.error.FFmpegError, IndexError, ValueError) as problem:
            raise Refused("unreadable") from problem
        rate = rate or stream.rate or DEFAULT_RATE
        with av.open(target, "w", format=format_name) as output:
            written = _write(recording, output, format_name, max_seconds, rate)
    if not written:
        raise Refused("silent")
    return written / rate


def _write(recording: Any, output: Any, format_name: str, max_seconds: float, rate: int) -> int:
    """Samples written. Raises Refused as soon as there are too many."""
    out = output.add_stream(CODECS[format_name], rate=rate, layout="mono")
    if format_name == "mp3":
        out.bit_rate = BITS_PER_SECOND
    resampler = av.AudioResampler(
        format=out.codec_context.format or "s16", layout="mono", rate=rate
    )
    written = 0
    for frame in _frames(recording):
        for piece in resampler.resample(frame):
            written += piece.samples
            if written > (max_seconds + TOLERANCE_SECONDS) * rate:
                raise Refused("too_long")
            piece.pts = None
            output.mux(out.encode(piece))
    output.mux(out.encode(None))
    return written


def _frames(recording: Any) -> Any:
    """Every frame, then None for the resampler's rest. Raises Refused for damage."""
    try:
        yield from recording.decode(audio=0)
    except (av.error.FFmpegError, ValueError) as problem:
        raise Refused("unreadable") from problem
    yield None


def main() -> None:
    source, container, target, format_name, max_seconds, *rate = sys.argv[1:]
    try:
        seconds = convert(
            source, container, target, format_name, float(max_seconds), *map(int, rate)
        )
        print(json.dumps({"seconds": round(seconds, 3)}))
    except Refused as reason:
        print(json.dumps({"refused": str(reason)}))


if __name__ == "__main__":
    main()
