"""Encodings of one byte a letter, by the places and the alphabets of their letters."""

import pytest

from projects.reading.encodings.detection import detect_encoding

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


# Each as people write, in the encodings that programs of their country save.
FOREIGN = {
    "cp1250": ["Zażółć gęślą jaźń, kiedy będzie przesyłka", "Příliš žluťoučký kůň", "Árvíztűrő"],
    "iso8859_2": ["Zażółć gęślą jaźń, kiedy będzie przesyłka", "A fűnyíró nem érkezett, kérem őt"],
    "cp1254": ["Şifremi unuttum, ığdır şubesindeki sipariş gelmedi", "merhaba, sipariş nasıl"],
    "cp1257": ["Mano užsakymas dar neatėjo, prašau padėkite, žąsys"],
    "iso8859_15": ["Le cœur coûte 5 € à l’été, où êtes-vous ?".replace("’", "'")],
    "cp850": ["Größe über Straße öfter ärgerlich für Käufer"],
    "cp1253": ["Η παραγγελία μου δεν έφτασε ακόμη, πότε θα έρθει το δέμα"],
    "cp1255": ["ההזמנה שלי לא הגיעה עדיין, אפשר לבדוק בבקשה"],
    "cp1256": ["طلبي لم يصل بعد من فضلك ساعدني في معرفة مكانه"],
    "cp874": ["คำสั่งซื้อของฉันยังไม่ถึง กรุณาตรวจสอบให้หน่อย"],
    "cp1251": ["Мой заказ ещё не пришёл, помогите, пожалуйста", "Къде е моята поръчка"],
    "koi8_r": ["Мой заказ ещё не пришёл, помогите, пожалуйста"],
    "cp866": ["Мой заказ ещё не пришёл, помогите, пожалуйста"],
    "mac_cyrillic": ["Моє замовлення ще не прийшло, допоможіть, будь ласка"],
    "euc_jp": ["注文番号がまだ届いていません。カタカナもあります"],
    "iso2022_jp": ["注文番号がまだ届いていません。カタカナもあります"],
}


@pytest.mark.parametrize(
    ("encoding", "text"), [(name, text) for name, texts in FOREIGN.items() for text in texts]
)
@pytest.mark.parametrize("rows", [1, 40])
def test_a_text_of_any_country_is_read_or_called_a_guess(tmp_path, encoding, text, rows):
    path = tmp_path / "text.csv"
    content = "text,label\n" + "".join(f'"{text} {row}",a\n' for row in range(rows))
    path.write_bytes(content.encode(encoding))
    found = detect_encoding(path)
    assert path.read_bytes().decode(found.name, "replace") == content or found.is_guess
