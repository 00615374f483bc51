"""Changes of a text that keep its meaning: typing errors, letter case, punctuation, dropped or
swapped words. Each is drawn with the given generator; none makes a text empty."""

import random
import re
import string

TYPO_SHARE = 0.08  # Of the letters, at least one in each text.
DROP_SHARE = 0.15  # Of the words.
KEYBOARD_NEIGHBOURS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok",
    "o": "ipl", "p": "o", "a": "qsz", "s": "awdx", "d": "sefc", "f": "drgv", "g": "fthb",
    "h": "gyjn", "j": "hukm", "k": "jil", "l": "ko", "z": "ax", "x": "zsc", "c": "xdv", "v": "cfb",
    "b": "vgn", "n": "bhm", "m": "nj",
}  # fmt: skip


def add_typos(text: str, rng: random.Random) -> str:
    """The text with typing errors: neighbouring keys, and swapped, doubled and dropped letters."""
    letters = list(text)
    places = [place for place, letter in enumerate(letters) if letter.isalpha()]
    typos = min(len(places), max(1, round(TYPO_SHARE * len(places))))
    for place in rng.sample(places, typos):
        letters[place] = _apply_typo(letters, place, rng)
    return "".join(letters)


def _apply_typo(letters: list[str], place: int, rng: random.Random) -> str:
    letter = letters[place]
    kind = rng.choice(("neighbour", "double", "lose", "swap"))
    if kind == "neighbour" and letter.lower() in KEYBOARD_NEIGHBOURS:
        return rng.choice(KEYBOARD_NEIGHBOURS[letter.lower()])
    if kind == "swap" and place + 1 < len(letters) and letters[place + 1].isalpha():
        letters[place + 1], letter = letter, letters[place + 1]
        return letter
    return "" if kind == "lose" and len(letters) > 1 else letter * 2


def flip_case(text: str, rng: random.Random) -> str:
    return text.lower() if text.isupper() or rng.random() < 0.5 else text.upper()


def perturb_punctuation(text: str, rng: random.Random) -> str:
    """Punctuation removed, some blanks doubled, sometimes a mark at the end."""
    bare = text.translate(str.maketrans("", "", string.punctuation)) or text
    spaced = re.sub(r" ", lambda _: rng.choice((" ", "  ")), bare)
    return spaced + rng.choice(("", " ", "!!", " ...", " ?"))


def drop_words(text: str, rng: random.Random) -> str:
    """The text without some of its words; never without all."""
    words = text.split(" ")
    count = min(len(words) - 1, max(1, round(DROP_SHARE * len(words))))
    dropped = set(rng.sample(range(len(words)), count)) if count > 0 else set()
    return " ".join(word for place, word in enumerate(words) if place not in dropped)


def swap_words(text: str, rng: random.Random) -> str:
    """The text with one word and the next one swapped; a text of one word is unchanged."""
    words = text.split(" ")
    if len(words) > 1:
        place = rng.randrange(len(words) - 1)
        words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)
