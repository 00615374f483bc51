"""What made an answer, as templates draw it: coloured words, squares over a picture, cells."""

from typing import Any

FAINTEST = 8  # Of 100; weaker squares are left out.
WHOLE = (0.0, 0.0, 1.0, 1.0)


def explanation_shown(found: dict[str, Any]) -> dict[str, Any]:
    """An explanation of the engine: `pieces` of a text, `heat` over a picture, or `cells`."""
    if words := found.get("words"):
        return {"pieces": pieces_of(found["text"], words)}
    if grid := found.get("grid"):
        return {"heat": heat_of(grid, found.get("covers") or WHOLE)}
    if cells := found.get("cells"):
        return {"cells": cells_of(cells)}
    return {}


def pieces_of(text: str, words: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The text in pieces, words with their strength from -100 to 100."""
    strongest = max((abs(word["score"]) for word in words), default=0) or 1
    pieces: list[dict[str, Any]] = []
    reached = 0
    for word in words:
        if word["start"] > reached:
            pieces.append({"text": text[reached : word["start"]], "strength": 0})
        strength = round(100 * word["score"] / strongest)
        pieces.append({"text": text[word["start"] : word["end"]], "strength": strength})
        reached = word["end"]
    pieces.append({"text": text[reached:], "strength": 0})
    return pieces


def heat_of(grid: list[list[float]], covers: tuple[float, ...]) -> dict[str, Any]:
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
            if abs(one["strength"]) >= FAINTEST
        ],
        "left": left,
        "top": top,
        "width": width,
        "height": height,
    }


def cells_of(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With a strength from -100 to 100."""
    strongest = max((abs(cell["score"]) for cell in cells), default=0) or 1
    return [{**cell, "strength": round(100 * cell["score"] / strongest)} for cell in cells]
