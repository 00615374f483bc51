"""What made an answer, as templates draw it: coloured words, squares over a picture, cells."""

from typing_extensions import TypedDict

MIN_STRENGTH = 8  # Of 100; weaker squares are left out.
FULL_IMAGE = (0.0, 0.0, 1.0, 1.0)


class ScoredWord(TypedDict):
    start: int
    end: int
    score: float


class ScoredCell(TypedDict):
    score: float


class Explanation(TypedDict, total=False):
    """What the engine says made an answer: words of `text`, a grid over a picture, or cells."""

    text: str
    words: list[ScoredWord]
    grid: list[list[float]]
    covers: tuple[float, ...]
    cells: list[ScoredCell]


def explanation_context(explanation: Explanation) -> dict[str, object]:
    """An explanation of the engine: `pieces` of a text, `heat` over a picture, or `cells`."""
    if words := explanation.get("words"):
        return {"pieces": text_pieces(explanation["text"], words)}
    if grid := explanation.get("grid"):
        return {"heat": heatmap(grid, explanation.get("covers") or FULL_IMAGE)}
    if cells := explanation.get("cells"):
        return {"cells": scored_cells(cells)}
    return {}


def text_pieces(text: str, words: list[ScoredWord]) -> list[dict[str, str | int]]:
    """The text in pieces, words with their strength from -100 to 100."""
    strongest = max((abs(word["score"]) for word in words), default=0) or 1
    pieces: list[dict[str, str | int]] = []
    reached = 0
    for word in words:
        if word["start"] > reached:
            pieces.append({"text": text[reached : word["start"]], "strength": 0})
        strength = round(100 * word["score"] / strongest)
        pieces.append({"text": text[word["start"] : word["end"]], "strength": strength})
        reached = word["end"]
    pieces.append({"text": text[reached:], "strength": 0})
    return pieces


def heatmap(grid: list[list[float]], covers: tuple[float, ...]) -> dict[str, object]:
    """Squares with a strength from -100 to 100, and where on the picture, in percent, they lie."""
    strongest = max((abs(score) for line in grid for score in line), default=0) or 1
    squares = [
        {"x": x, "y": y, "strength": round(100 * score / strongest)}
        for y, line in enumerate(grid)
        for x, score in enumerate(line)
    ]
    left, top, width, height = (round(100 * share, 2) for share in covers)
    return {
        "across": len(grid[0]),
        "down": len(grid),
        "squares": [
            {**one, "opacity": abs(one["strength"]) / 130}
            for one in squares
            if abs(one["strength"]) >= MIN_STRENGTH
        ],
        "left": left,
        "top": top,
        "width": width,
        "height": height,
    }


def scored_cells(cells: list[ScoredCell]) -> list[dict[str, object]]:
    """With a strength from -100 to 100."""
    strongest = max((abs(cell["score"]) for cell in cells), default=0) or 1
    return [{**cell, "strength": round(100 * cell["score"] / strongest)} for cell in cells]
