"""Small uploads whose target neither the last column nor a usual name gives away."""

import random
from collections.abc import Callable
from dataclasses import dataclass

ROWS = 240


@dataclass(frozen=True)
class Kind:
    """`make` gives the cells of a row; the rest is the right proposal."""

    header: str
    make: Callable[[int, random.Random], list[object]]
    task: str
    texts: list[str]
    target: str

    @property
    def content(self) -> bytes:
        rng = random.Random(1)
        lines = [self.header]
        lines += [",".join(map(str, self.make(number, rng))) for number in range(ROWS)]
        return "\n".join(lines).encode()


def _song(_n: int, rng: random.Random) -> list[object]:
    year = rng.randint(1960, 2020)
    return [year, *(round(rng.gauss((year - 1990) / 20 * (k < 3), 1), 4) for k in range(8))]


def _student(_n: int, rng: random.Random) -> list[object]:
    first = rng.randint(0, 20)
    second = max(0, min(20, first + rng.randint(-2, 2)))
    last = max(0, min(20, second + rng.randint(-1, 2)))
    return [rng.choice(["GP", "MS"]), rng.randint(15, 20), rng.randint(0, 30), first, second, last]


def _delivery(_n: int, rng: random.Random) -> list[object]:
    way = rng.uniform(0.5, 20)
    order, vehicle = rng.choice(["Snack", "Meal", "Drinks"]), rng.choice(["motorcycle", "scooter"])
    minutes = int(8 + way * 1.8 + rng.gauss(0, 2))
    return [round(rng.uniform(10, 30), 6), round(way, 2), order, vehicle, minutes]


def _loan(n: int, rng: random.Random) -> list[object]:
    grade = rng.choice("ABCDEFG")
    place = "ABCDEFG".index(grade)
    is_lost = rng.random() < 0.05 + 0.05 * place
    rate = round(5 + 2 * place + rng.random(), 2)
    status = "Charged Off" if is_lost else "Fully Paid"
    return [1000 + 3 * n, rng.randint(20, 90), grade, rate, rng.choice(["RENT", "OWN"]), status]


def _staff(_n: int, rng: random.Random) -> list[object]:
    content = rng.random()
    left = int(rng.random() < (0.6 if content < 0.4 else 0.08))
    salary = rng.choice(["low", "medium", "high"])
    return [round(content, 2), rng.randint(120, 300), left, rng.choice(["sales", "IT"]), salary]


def _campaign(n: int, rng: random.Random) -> list[object]:
    goal = rng.randint(500, 50000)
    state = "successful" if rng.random() < (0.8 if goal < 8000 else 0.2) else "failed"
    kind = rng.choice(["Games", "Music", "Art"])
    return [n, kind, goal, rng.randint(10, 60), state, rng.choice(["US", "GB"])]


def _flight(_n: int, rng: random.Random) -> list[object]:
    boarding = rng.randint(1, 5)
    answer = "satisfied" if rng.random() < boarding / 6 else "neutral or dissatisfied"
    return [rng.choice(["Business", "Eco"]), rng.randint(100, 4000), boarding, answer]


def _incident(n: int, rng: random.Random) -> list[object]:
    says = {
        "Hardware": "my laptop screen flickers and the fan is loud",
        "Network": "the vpn drops every ten minutes from home",
        "Access": "please grant me permission to the finance folder",
    }
    group = rng.choice(list(says))
    return [
        f"INC{n}",
        f"Hello {says[group]} since last week ref {n}",
        rng.choice(["P1", "P2", "P3"]),
        group,
        f"Solved by {rng.choice(['restart', 'replacing'])} on {n % 28} May as the user wished",
    ]


def _rent(_n: int, rng: random.Random) -> list[object]:
    area = rng.uniform(20, 120)
    rent = round(area * 14 * rng.gauss(1, 0.1), 2)
    return [round(area, 1), rng.choice(["Mitte", "Pankow"]), rent, rng.choice(["yes", "no"])]


def _unnamed_number(_n: int, rng: random.Random) -> list[object]:
    width, height = rng.randint(40, 400), int(rng.gauss(2000, 200))
    reach = round((width - 220) ** 2 / 9 + rng.gauss(0, 100), 1)  # Two widths have one reach.
    return [width, height, reach, int(rng.gauss(180, 20))]


def _customer_asks(n: int, rng: random.Random) -> list[object]:
    says = {"查余额": "帮我看看卡里还有多少钱", "转账": "我想给朋友转点钱"}
    intent = rng.choice(list(says))
    return [f"{says[intent]}{rng.choice(['呢', '啊'])}{n}", intent]


def _hotline(n: int, rng: random.Random) -> list[object]:
    says = {
        "教育": "小区附近没有小学孩子上学要坐很久的车",
        "交通": "路口红绿灯坏了三天早晚高峰很堵",
    }
    kind = rng.choice(list(says))
    return [f"市民反映{says[kind]}编号{n}希望解决", rng.choice(["东区", "西区"]), kind, "已办结"]


def _quality(n: int, rng: random.Random) -> list[object]:
    heat, pressure = rng.gauss(80, 5), rng.gauss(3, 0.5)
    answer = "不合格" if heat * pressure > 265 else "合格"
    return [f"SN{n}", round(heat, 1), answer, round(pressure, 2), rng.choice(["A线", "B线"])]


def _address(n: int, rng: random.Random) -> list[object]:
    is_bad = rng.random() < 0.5
    address = f"secure-login-{n}.example/verify" if is_bad else f"www.example.org/page/{n}"
    return [f"{n:x}a", f"https://{address}", "bad" if is_bad else "good"]


def _first_name(n: int, rng: random.Random) -> list[object]:
    female = rng.random() < 0.5
    stem = f"{rng.choice('BDLMRST')}{rng.choice('aeiou')}{chr(97 + n % 26)}{chr(97 + n // 26)}"
    return [stem + ("ina" if female else "os"), "F" if female else "M"]


def _review(n: int, rng: random.Random) -> list[object]:
    stars = rng.choice([1, 2, 4, 5])
    opinion = "fits well and looks lovely" if stars > 3 else "ripped at once and feels cheap"
    kind = rng.choice(["Dresses", "Knits", "Blouses"])
    return [n, rng.randint(20, 80), f"The piece {n} {opinion} says my sister", stars, kind]


def _product(n: int, rng: random.Random) -> list[object]:
    kind = rng.choice(["kitchen", "garden", "office"])
    words = {"kitchen": "pan", "garden": "spade", "office": "stapler"}
    name = f"Sturdy {words[kind]} number {n}"
    return [f"SKU-{n:05d}", name, f"A {kind} thing that lasts for years and is number {n}", kind]


def _wave(_n: int, rng: random.Random) -> list[object]:
    kind = rng.randrange(3)
    return [*(round(rng.gauss(kind, 1), 3) for _ in range(12)), float(kind)]


def _driver(_n: int, rng: random.Random) -> list[object]:
    premium = rng.randint(60, 300)
    worth = round(premium * 25 + rng.gauss(0, 500), 2)
    return [worth, rng.choice(["Yes", "No"]), rng.choice(["Basic", "Full"]), premium]


def _sleeper(_n: int, rng: random.Random) -> list[object]:
    hours = round(rng.uniform(5.8, 8.5), 1)
    disorder = "None" if hours > 7 else rng.choice(["Insomnia", "Apnea"])
    return [rng.randint(27, 59), hours, int(hours), rng.randint(65, 86), disorder]


def _parcel(n: int, rng: random.Random) -> list[object]:
    days = rng.randint(1, 10)
    carrier = rng.choice(["UPS", "DHL"])
    return [f"2024-01-{n % 28 + 1:02d}", days, carrier, "yes" if days < 5 else "no"]


def _load(n: int, rng: random.Random) -> list[object]:
    hour = n % 24
    load = round(12000 + hour * 200 + rng.gauss(0, 300), 1)
    return [load, round(rng.uniform(-5, 30), 1), hour, int(rng.random() < 0.05)]


def _request(n: int, rng: random.Random) -> list[object]:
    kind = rng.choice(["facture", "colis", "compte"])
    service = {"facture": "comptabilité", "colis": "logistique", "compte": "support"}[kind]
    text = f"Bonjour mon {kind} numéro {n} ne va pas du tout merci de répondre"
    return [f"{kind} {n}", text, service, rng.choice(["haute", "basse"])]


def _opinion(n: int, rng: random.Random) -> list[object]:
    is_good = rng.random() < 0.5
    text = "Отличный товар советую всем" if is_good else "Ужасное качество верните деньги"
    return [n, f"{text} заказ номер {n}", "позитив" if is_good else "негатив", rng.randint(1, 9)]


def _quiz(n: int, rng: random.Random) -> list[object]:
    key = rng.choice("ABCD")
    return [f"What is the answer to riddle {n} of the book of {key.lower()}s", n % 7, key]


def _helpdesk(n: int, rng: random.Random) -> list[object]:
    kind = rng.choice(["invoice", "laptop", "contract"])
    text = f"Hello my {kind} number {n} is not right and I would like some help with it please"
    group = {"invoice": "Finance", "laptop": "IT", "contract": "Sales"}[kind]
    return [n, f"{kind} {n}", text, group, rng.choice(["Open", "Closed"]), rng.choice("123")]


def _stay(n: int, rng: random.Random) -> list[object]:
    days = rng.randint(1, 30)
    return [f"B{n:06d}", rng.randint(1, 90), days, rng.choice("是否"), days * 400 + n]


def _korean(n: int, rng: random.Random) -> list[object]:
    stars = rng.choice([1, 2, 4, 5])
    opinion = "정말 좋아요 추천합니다" if stars > 3 else "별로예요 환불했어요"
    return [f"{opinion} {n}", stars, int(stars > 3)]


def _questions(n: int, rng: random.Random) -> list[object]:
    is_same = rng.random() < 0.5
    other = f"What is the best way to learn skill {n}" if is_same else f"Who sang the song {n}"
    return [n, 2 * n + 1, 2 * n + 2, f"How do I learn skill {n}", other, int(is_same)]


LABELS, NUMBERS = "tabular-classification", "tabular-regression"
TEXTS = "text-classification"
KINDS = {
    "one beside a series": Kind(
        "year," + ",".join(f"timbre_{k}" for k in range(8)), _song, NUMBERS, [], "year"
    ),
    "the last of few counted": Kind(
        "school,age,absences,G1,G2,G3", _student, NUMBERS, [], "G3"
    ),
    "how a case ended": Kind(
        "member_ref,income,grade,int_rate,home,loan_status", _loan, LABELS, [], "loan_status"
    ),
    "a quantity in words is a fact": Kind(
        "satisfied_share,hours,left,department,salary", _staff, LABELS, [], "left"
    ),
    "outcomes under a place's name": Kind(
        "ID,kind,goal,days_open,state,country", _campaign, LABELS, [], "state"
    ),
    "outcomes of several words": Kind(
        "Class,Distance,Boarding,Answered", _flight, LABELS, [], "Answered"
    ),
    "notes of the closing": Kind(
        "number,description,priority,assignment_group,close_notes", _incident, TEXTS,
        ["description"], "assignment_group",
    ),
    "a rent inside": Kind("size_sqm,district,rent,pets_allowed", _rent, NUMBERS, [], "rent"),
    "a unit behind the name": Kind(
        "size_sqm,district,price_usd,pets_allowed", _rent, NUMBERS, [], "price_usd"
    ),
    "names in Korean": Kind("리뷰,평점,라벨", _korean, TEXTS, ["리뷰"], "라벨"),
    "ids of two questions": Kind(
        "id,qid1,qid2,question1,question2,is_duplicate", _questions, TEXTS,
        ["question1", "question2"], "is_duplicate",
    ),
    "how long it took": Kind(
        "Restaurant_latitude,Distance_km,Type_of_order,Type_of_vehicle,Time_taken(min)",
        _delivery, NUMBERS, [], "Time_taken(min)",
    ),
    "how long it took, in Chinese": Kind(
        "门店纬度,距离,订单类型,车辆类型,配送时间", _delivery, NUMBERS, [], "配送时间"
    ),
    "a number nothing speaks for": Kind(
        "width,height,reach,top", _unnamed_number, NUMBERS, [], "reach"
    ),
    "what a customer asked": Kind("用户问句,意图", _customer_asks, TEXTS, ["用户问句"], "意图"),
    "a plea": Kind("诉求内容,区域,诉求类别,办理状态", _hotline, TEXTS, ["诉求内容"], "诉求类别"),
    "classes written as decimals": Kind(
        ",".join(f"w{k}" for k in range(12)) + ",y", _wave, LABELS, [], "y"
    ),
    "a value that is a price": Kind(
        "Customer Lifetime Value,Response,Coverage,Monthly Premium", _driver, NUMBERS, [],
        "Customer Lifetime Value",
    ),
    "a noun before of": Kind(
        "Age,Sleep Duration,Quality of Sleep,Heart Rate,Sleep Disorder", _sleeper, LABELS, [],
        "Sleep Disorder",
    ),
    "on time or not": Kind(
        "order_date,days_to_deliver,carrier,on_time", _parcel, LABELS, [], "on_time"
    ),
    "a number before a rare flag": Kind(
        "AEP_MW,temp,hour,is_holiday", _load, NUMBERS, [], "AEP_MW"
    ),
    "names in French": Kind(
        "objet,message,service,priorité", _request, TEXTS, ["objet", "message"], "service"
    ),
    "names in Russian": Kind(
        "номер,отзыв,тональность,баллы", _opinion, TEXTS, ["отзыв"], "тональность"
    ),
    "the key of an answer": Kind("question,year,answerKey", _quiz, TEXTS, ["question"],
                                 "answerKey"),
    "satisfaction after a message": Kind(
        "Id,Subject,Description,Group,Status,Satisfaction Score", _helpdesk, TEXTS,
        ["Subject", "Description"], "Group",
    ),
    "costs in Chinese": Kind("病历号,年龄,住院天数,是否报销,总费用", _stay, NUMBERS, [], "总费用"),
    "nothing but an address": Kind("id,url,label", _address, TEXTS, ["url"], "label"),
    "nothing but a name": Kind("name,gender", _first_name, TEXTS, ["name"], "gender"),
    "how a review judges": Kind(
        ",Age,Review Text,Rating,Class Name", _review, TEXTS, ["Review Text"], "Rating"
    ),
    "a product by name and description": Kind(
        "sku,product_name,description,category", _product, TEXTS,
        ["product_name", "description"], "category",
    ),
    "outcomes in Chinese": Kind("序列号,温度,检验,压力,产线", _quality, LABELS, [], "检验"),
}  # fmt: skip
