"""Recordings in every container that the product takes, made by the codecs themselves."""

import io

import av
import numpy as np

CONTAINERS = {
    "webm": ("webm", "libopus"),
    "ogg": ("ogg", "libopus"),
    "mp3": ("mp3", "libmp3lame"),
    "m4a": ("ipod", "aac"),
    "wav": ("wav", "pcm_s16le"),
}


def record(kind: str, seconds: float, rate: int = 24_000) -> bytes:
    """A tone of so many seconds."""
    container, codec = CONTAINERS[kind]
    file = io.BytesIO()
    file.name = f"tone.{kind}"
    times = np.arange(int(seconds * rate)) / rate
    samples = (8_000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.rate = rate
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        context = stream.codec_context
        resampler = av.AudioResampler(
            format=context.format, layout="mono", rate=rate, frame_size=context.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            piece.pts = None
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return file.getvalue()
