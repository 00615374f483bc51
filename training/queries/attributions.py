"""Which parts of an input an answer rests on, as templates draw them: coloured words, squares over
a picture, or cells of a table's row."""

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
    """The engine's explanation of an answer: scores of the words of `text`, of a grid over a
    picture, or of cells. A score above 0 speaks for the answer, one below against it."""

    text: str
    words: list[ScoredWord]
    grid: list[list[float]]  # Rows of scores, from the top.
    covers: tuple[float, ...]  # Left, top, width, height of the grid, in shares of the picture.
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
            {**square, "opacity": abs(square["strength"]) / 130}
            for square in squares
            if abs(square["strength"]) >= MIN_STRENGTH
        ],
        "left": left,
        "top": top,
        "width": width,
        "height": height,
    }


def scored_cells(cells: list[ScoredCell]) -> list[dict[str, object]]:
    """The cells, each with its `strength` from -100 to 100."""
    strongest = max((abs(cell["score"]) for cell in cells), default=0) or 1
    return [{**cell, "strength": round(100 * cell["score"] / strongest)} for cell in cells]
