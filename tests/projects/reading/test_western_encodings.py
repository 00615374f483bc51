"""Mac Roman and Windows-1252 by the places of their letters."""

import pytest

from projects.reading.encodings import detect_encoding

TEXTS = [
    "“Courier left the box,” she said – café, naïve, déjà vu…",
    "Die Größe über schöne Straßen, Äpfel, Öl. Übung macht den Meister.",
    "El niño comió piñas. ¿Qué? ¡Sí! España, mañana",
    "don’t won’t it’s",
    "Ça va? L’été où à être, forêt, garçon",
    "preço ação não é maçã",
    "50 € für drei Äpfel",
    "Ångström smörgås blåbær",
    "café",
]


@pytest.mark.parametrize("encoding", ["mac_roman", "cp1252"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_in_the_encoding_it_was_written_in(tmp_path, text, encoding):
    path = tmp_path / "text.csv"
    path.write_bytes(f'text,label\n"{text}",a\n'.encode(encoding))
    found = detect_encoding(path)
    assert path.read_bytes().decode(found.name) == path.read_bytes().decode(encoding)


def test_bytes_that_mean_nothing_anywhere_are_called_a_guess(read, tmp_path):
    table = read(b"text,label\n" + b"a\x81\x8d b\xfe,x\n" * 12)
    assert any(issue["code"] == "encoding_guess" for issue in table.issues)
