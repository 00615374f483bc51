"""UTF-16 and UTF-32 without a mark are read in the right order of bytes; text of one byte a letter
with a few zeros stays that; anything else with zeros is refused."""

import random

import pytest

from projects.reading.encodings.wide import detect_wide
from projects.reading.results import UnreadableFile
from tests.projects.conftest import rows_of

ORDERS = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
TEXTS = [
    "第3条投诉，上次购买的商品一直没有到货，请处理上述问题",
    "注文番号がまだ届いていません。カタカナもあります",
    "주문한 상품이 아직 도착하지 않았습니다",
    "Мой заказ ещё не пришёл, помогите",
    "Η παραγγελία μου δεν έφτασε ακόμη",
    "ההזמנה שלי לא הגיעה עדיין",
    "طلبي لم يصل بعد من فضلك",
    "คำสั่งซื้อของฉันยังไม่ถึง",
    "मेरा ऑर्डर अभी तक नहीं आया",
    "Zażółć gęślą jaźń – “Größe” 😀",
    "一丁上下不世",  # Signs whose bytes hold zeros and line feeds.
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_text_without_a_mark_is_read(read, text, order, name):
    if name == "t.csv":
        content = "text,label\n" + "".join(f'"{text} {n}",{"ab"[n % 2]}\n' for n in range(30))
    else:
        content = "".join(
            f'{{"text": "{text} {n}", "label": "{"ab"[n % 2]}"}}\n' for n in range(30)
        )
    table = read(content.encode(order), name)
    assert rows_of(table) == [[f"{text} {n}", "ab"[n % 2]] for n in range(30)]
    assert not [issue for issue in table.issues if issue["code"] != "encoding_guess"]


@pytest.mark.parametrize("order", ORDERS)
def test_a_column_of_nothing_but_such_text_is_read(read, order):
    lines = ["文本", *(f"{TEXTS[0]}第{n}回" for n in range(30))]
    assert rows_of(read("\n".join(lines).encode(order))) == [[line] for line in lines[1:]]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "cp1252", "gb18030", "cp1251"])
def test_zeros_strewn_into_other_text_are_taken_out(read, encoding):
    text = {"gb18030": TEXTS[0], "cp1251": TEXTS[3]}.get(encoding, "a question about a bo\0x")
    text = text if "\0" in text else f"{text[:5]}\0{text[5:]}"
    content = "text,label\n" + "".join(f'"{text} {n}",{"ab"[n % 2]}\n' for n in range(30))
    table = read(content.encode(encoding))
    assert rows_of(table)[0] == [text.replace("\0", "") + " 0", "a"]
    assert any(issue["code"] == "zero_bytes" for issue in table.issues)


@pytest.mark.parametrize("seed", range(5))
def test_other_bytes_with_zeros_are_no_text(read, seed):
    noise = random.Random(seed).randbytes(4_000).replace(b"PK", b"") + b"\0\0"
    assert detect_wide(noise) == ("", False)
    with pytest.raises(UnreadableFile, match="not a text table"):
        read(noise)
