"""Tables as people upload them, each with what a model should learn from it. Made up from seeds."""

import csv
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Upload:
    """A file and the right proposal: `task`, `texts` and `target`."""

    name: str
    content: bytes
    task: str
    texts: list[str]
    target: str | None


CHINESE_GOOD = ["味道很好下次还来", "送餐特别快包装也好", "分量足价格实惠", "服务态度好值得推荐"]
CHINESE_BAD = ["送了两个小时都凉了", "味道太差不会再点", "少送了一份还不退款", "包装破了汤全洒了"]
COMPLAINTS = {
    "billing": "I was charged twice for the same order on my card",
    "delivery": "My parcel has not arrived and tracking does not move",
    "account": "I cannot sign in because the password link never comes",
    "product": "The item I received is broken and does not switch on",
}
SURNAMES = ["Braund", "Cumings", "Heikkinen", "Allen", "Moran", "McCarthy", "Palsson", "Johnson"]


def _write(header: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def _table(
    header: str, rows: int, make: Callable[[int, random.Random], Sequence[object]], seed: int = 0
) -> bytes:
    rng = random.Random(seed)
    return _write(header.split(","), [make(number, rng) for number in range(rows)])


def _passengers(n: int, rng: random.Random) -> list[object]:
    sex = rng.choice(["male", "female"])
    title = "Mr." if sex == "male" else "Mrs."
    name = (
        f"{rng.choice(SURNAMES)}, {title} {rng.choice('ABCDEFG')}. {rng.randint(1, 999)}son Harris"
    )
    survived = int(rng.random() < (0.75 if sex == "female" else 0.2))
    cabin = f"{rng.choice('ABC')}{rng.randint(1, 99)}" if rng.random() < 0.3 else ""
    ticket = rng.choice(
        [f"A/5 {rng.randint(1000, 99999)}", f"PC {rng.randint(1000, 99999)}", str(n)]
    )
    return [
        n + 1,
        survived,
        rng.randint(1, 3),
        name,
        sex,
        rng.randint(1, 80),
        rng.randint(0, 3),
        ticket,
        round(rng.uniform(5, 200), 2),
        cabin,
        rng.choice("SCQ"),
    ]


def _house(n: int, rng: random.Random) -> list[object]:
    area, year = rng.randint(50, 300), rng.randint(1950, 2020)
    return [
        n + 1,
        rng.choice([20, 30, 60, 70, 120]),
        rng.choice(["RL", "RM", "FV"]),
        area,
        year,
        rng.choice(["NAmes", "Edwards", "Gilbert"]),
        rng.choice(["1Fam", "Duplex"]),
        rng.randint(1, 10),
        rng.randint(1, 12),
        rng.choice(["WD", "New"]),
        area * 1000 + (year - 1950) * 500 + n % 7,
    ]


def _county(n: int, rng: random.Random) -> list[object]:
    area = rng.randint(500, 4000)
    return [
        7_000_000 + n * 37,
        f"2014{rng.randint(1, 12):02}13T000000",
        area * 200 + rng.randint(0, 9000),
        rng.randint(1, 5),
        rng.randint(1, 3),
        area,
        rng.randint(0, 4),
        98000 + rng.randint(1, 60),
        round(47 + rng.random(), 4),
        round(-122 + rng.random(), 4),
    ]


def _chinese_house(n: int, rng: random.Random) -> list[object]:
    area = rng.randint(40, 180)
    return [
        f"HZ{n:05}",
        rng.choice(["阳光花园", "万科城", "翠苑一区"]) + f"{n % 40}号",
        area,
        rng.randint(1, 30),
        area * 3 + rng.randint(0, 60),
        rng.choice(["朝南", "朝北"]),
        rng.choice(["西湖", "滨江"]),
    ]


def _ticket(n: int, rng: random.Random) -> list[object]:
    kind = rng.choice(list(COMPLAINTS))
    rating = rng.choice(["", rng.randint(1, 5)])
    return [
        f"T-{n:05}",
        f"Customer {n}",
        f"c{n}@example.com",
        f"Help with {kind} {n}",
        f"{COMPLAINTS[kind]}, order {n}, since {rng.randint(2, 9)} days.",
        kind,
        rng.choice(["open", "closed"]),
        f"We looked at case {n} and sent a {rng.choice(['refund', 'new one'])}.",
        rng.choice(["low", "high"]),
        rating,
    ]


def _job_advert(n: int, rng: random.Random) -> list[object]:
    is_false = rng.random() < 0.2
    offer = "Earn money at home, no skills asked" if is_false else "Join our team and grow with us"
    return [
        n,
        rng.choice(["Engineer", "Nurse", "Data entry clerk"]),
        f"{offer}. We are {rng.randint(3, 900)} people and look for you since {n} days.",
        rng.randint(0, 1),
        rng.choice(["Full-time", "Part-time"]),
        int(is_false),
    ]


def _voted_tweet(n: int, rng: random.Random) -> list[object]:
    label = rng.randint(0, 2)
    words = ["you are all awful people", "what a lovely morning it is", "the train is late again"]
    votes = [3 if label == one else 0 for one in range(3)]
    return [n, *votes, label, f"@user{n} {words[label]} in town number {rng.randint(1, 500)}"]


def _rated_ticket(n: int, rng: random.Random) -> list[object]:
    kind = rng.choice(list(COMPLAINTS))
    return [
        n,
        f"{COMPLAINTS[kind]}, order {n}.",
        kind,
        f"Dear customer, we settled {n} for you today.",
        rng.randint(1, 5),
    ]


def _customer(n: int, rng: random.Random) -> list[object]:
    months, fee = rng.randint(1, 70), round(rng.uniform(20, 110), 2)
    leaves = "Yes" if months < 12 and fee > 60 else "No"
    return [
        f"{n:04}-XYZ",
        rng.choice(["Male", "Female"]),
        rng.randint(0, 1),
        months,
        rng.choice(["DSL", "Fiber optic", "No"]),
        fee,
        leaves,
    ]


def _chinese_customer(n: int, rng: random.Random) -> list[object]:
    months = rng.randint(1, 60)
    return [
        f"KH{n:06}",
        f"张{chr(0x4E00 + n % 900)}",
        rng.choice("男女"),
        rng.randint(18, 70),
        months,
        rng.choice(["是", "否"]) if months > 10 else "是",
        rng.choice(["杭州", "上海"]),
    ]


def _shop_review(n: int, rng: random.Random) -> list[object]:
    stars = rng.randint(1, 5)
    word = ["awful", "poor", "fine", "good", "wonderful"][stars - 1]
    return [
        n,
        f"B00{n % 40:04}",
        f"A{n:07}",
        rng.choice(SURNAMES),
        rng.randint(0, 9),
        stars,
        1300000000 + n * 991,
        f"A {word} purchase {n}",
        f"I bought it in week {n % 50} and it is a {word} thing for my dog.",
    ]


def _tweet(n: int, rng: random.Random) -> list[object]:
    mood = rng.choice(["negative", "neutral", "positive"])
    return [
        570000000000 + n * 7919,
        mood,
        round(rng.uniform(0.4, 1), 4),
        rng.choice(["Late", "", "Lost"]),
        rng.choice(["United", "Delta"]),
        rng.choice(SURNAMES).lower() + str(n),
        f"@air flight {n} was a {mood} surprise for all of us",
        "2015-02-24 11:35:52",
        "Eastern Time",
    ]


def _bikes(n: int, rng: random.Random) -> list[object]:
    casual, registered = rng.randint(0, 300), rng.randint(100, 3000)
    return [
        n + 1,
        f"2011-01-{n % 28 + 1:02}",
        n % 4 + 1,
        n % 12 + 1,
        n % 7,
        round(rng.random(), 3),
        casual,
        registered,
        casual + registered,
    ]


def _cars(n: int, rng: random.Random) -> list[object]:
    power = rng.randint(50, 250)
    return [
        n + 1,
        f"{rng.choice(['audi', 'bmw', 'volvo'])} model {n % 90}",
        rng.choice(["gas", "diesel"]),
        power,
        rng.randint(15, 40),
        power * 120 + rng.randint(0, 999),
    ]


def _staff(n: int, rng: random.Random) -> list[object]:
    pay = rng.randint(1000, 9000)
    return [
        rng.randint(20, 60),
        "Yes" if pay < 2500 else "No",
        rng.choice(["Rarely", "Often"]),
        rng.choice(["Sales", "R&D"]),
        rng.randint(1, 4),
        pay,
        rng.randint(0, 30),
    ]


def _patients(n: int, rng: random.Random) -> list[object]:
    sugar = rng.randint(60, 200)
    return [
        rng.randint(0, 9),
        sugar,
        rng.randint(40, 110),
        round(rng.uniform(18, 45), 1),
        rng.randint(21, 80),
        int(sugar > 140),
    ]


def _unnamed_species(n: int, rng: random.Random) -> list[object]:
    kind = n % 3
    return [
        round(kind * 2 + rng.random(), 2),
        round(rng.random(), 2),
        round(kind + rng.random(), 2),
        f"kind-{kind}",
    ]


def _chinese_news(n: int, rng: random.Random) -> list[object]:
    words = {
        "体育": "球队昨晚赢得比赛晋级决赛",
        "财经": "股市今天大幅上涨银行股领先",
        "科技": "新款手机发布芯片性能提升",
    }
    topic = rng.choice(list(words))
    return [
        n,
        f"{words[topic][:8]}第{n}期",
        f"{words[topic]}记者在现场第{n}次报道了这一消息",
        "新华网",
        topic,
    ]


def _japanese(n: int, rng: random.Random) -> list[object]:
    good = rng.random() < 0.5
    return [
        f"{'とても良い商品でした' if good else 'すぐに壊れてしまいました'}注文番号{n}",
        5 if good else 1,
    ]


def _vacancies(n: int, rng: random.Random) -> list[object]:
    senior = rng.random() < 0.5
    duty = "Lead a large team of engineers" if senior else "Support the team as a trainee"
    text = f"{duty} in project {n}"
    return [
        f"{'Senior' if senior else 'Junior'} engineer {n}",
        f"Firm {n}",
        text,
        80000 * (1 + senior) + n * 10,
    ]


def _toxic(n: int, rng: random.Random) -> list[object]:
    return [
        f"{n:08x}",
        f"this is comment number {n} about the article",
        *(rng.randint(0, 1) for _ in range(3)),
    ]


def _insured(n: int, rng: random.Random) -> list[object]:
    age, smoker = rng.randint(18, 64), rng.choice(["yes", "no"])
    return [
        age,
        rng.choice(["male", "female"]),
        round(rng.uniform(18, 45), 2),
        rng.randint(0, 4),
        smoker,
        rng.choice(["southwest", "northeast"]),
        age * 250 + (20000 if smoker == "yes" else 0) + rng.random(),
    ]


def _loans(n: int, rng: random.Random) -> list[object]:
    return [
        f"LP{n:05}",
        rng.choice(["Male", "Female"]),
        rng.choice(["Yes", "No"]),
        rng.randint(1000, 9000),
        rng.randint(50, 500),
        rng.choice(["Urban", "Rural"]),
        rng.choice("YN"),
    ]


def _counties(n: int, rng: random.Random) -> list[object]:
    income = round(rng.uniform(1, 12), 4)
    return [
        round(rng.uniform(-124, -114), 2),
        round(rng.uniform(32, 42), 2),
        rng.randint(1, 52),
        income,
        int(income * 40000) + rng.randint(0, 20000),
        rng.choice(["INLAND", "NEAR BAY", "ISLAND"]),
    ]


def _bookings(n: int, rng: random.Random) -> list[object]:
    is_off = rng.randint(0, 1)
    return [
        rng.choice(["Resort", "City"]),
        is_off,
        rng.randint(0, 300),
        rng.choice(["July", "May"]),
        rng.choice(["PRT", "GBR"]),
        round(rng.uniform(20, 200), 2),
        "Off" if is_off else "Done",
    ]


def _agency_news(n: int, rng: random.Random) -> list[object]:
    topic = rng.randint(1, 4)
    return [
        topic,
        f"Headline number {n} on {topic}",
        f"A longer text about subject {topic}, the {n}th of its kind.",
    ]


def _work_orders(n: int, rng: random.Random) -> list[object]:
    kind = rng.choice(["路灯不亮影响出行", "垃圾堆放没有人清理", "小区停车位被占用"])
    return [f"GD{n:06}", f"市民反映{kind}第{n}次", f"已联系相关单位处理完毕{n}", kind[:2]]


def _stores(n: int, rng: random.Random) -> list[object]:
    return [
        f"2010-02-{n % 28 + 1:02}",
        rng.randint(1, 45),
        rng.randint(1, 90),
        round(rng.uniform(100, 60000), 2),
        rng.choice(["TRUE", "FALSE"]),
    ]


def list_uploads() -> list[Upload]:
    """Every kind once."""
    rows = 160
    tickets = (
        "Ticket ID,Customer Name,Customer Email,Ticket Subject,Ticket Description,Ticket Type,"
        "Ticket Status,Resolution,Ticket Priority,Customer Satisfaction Rating"
    )
    reviews = [
        [int(good), f"{random.Random(n).choice(CHINESE_GOOD if good else CHINESE_BAD)}第{n}单"]
        for n in range(rows)
        for good in [n % 2 == 0]
    ]
    intents = "text,intent\n" + "".join(
        f"{COMPLAINTS[kind]} no. {n},{kind}|{'urgent' if n % 2 else 'normal'}\n"
        for n in range(rows)
        for kind in [list(COMPLAINTS)[n % 4]]
    )
    return [
        Upload(
            "passengers",
            _table(
                "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Ticket,Fare,Cabin,Embarked",
                rows,
                _passengers,
            ),
            "tabular-classification",
            [],
            "Survived",
        ),
        Upload(
            "houses",
            _table(
                "Id,MSSubClass,MSZoning,LotArea,YearBuilt,Neighborhood,BldgType,OverallQual,"
                "MoSold,SaleType,SalePrice",
                rows,
                _house,
            ),
            "tabular-regression",
            [],
            "SalePrice",
        ),
        Upload(
            "county houses",
            _table(
                "id,date,price,bedrooms,bathrooms,sqft_living,condition,zipcode,lat,long",
                rows,
                _county,
            ),
            "tabular-regression",
            [],
            "price",
        ),
        Upload(
            "chinese houses",
            _table("房源编号,小区,面积,楼层,总价,朝向,区域", rows, _chinese_house),
            "tabular-regression",
            [],
            "总价",
        ),
        Upload(
            "tickets",
            _table(tickets, rows, _ticket),
            "text-classification",
            ["Ticket Subject", "Ticket Description"],
            "Ticket Type",
        ),
        Upload(
            "rated tickets",
            _table("id,issue,category,resolution,rating", rows, _rated_ticket),
            "text-classification",
            ["issue"],
            "category",
        ),
        Upload(
            "chinese reviews",
            _write(["label", "review"], reviews),
            "text-classification",
            ["review"],
            "label",
        ),
        Upload(
            "chinese names",
            _write(["评论内容", "情感"], [[b, a] for a, b in reviews]),
            "text-classification",
            ["评论内容"],
            "情感",
        ),
        Upload("barred labels", intents.encode(), "text-classification", ["text"], "intent"),
        Upload(
            "customers",
            _table(
                "customerID,gender,SeniorCitizen,tenure,InternetService,MonthlyCharges,Churn",
                rows,
                _customer,
            ),
            "tabular-classification",
            [],
            "Churn",
        ),
        Upload(
            "chinese customers",
            _table("客户编号,姓名,性别,年龄,在网月数,是否流失,城市", rows, _chinese_customer),
            "tabular-classification",
            [],
            "是否流失",
        ),
        Upload(
            "shop reviews",
            _table(
                "Id,ProductId,UserId,ProfileName,HelpfulnessNumerator,Score,Time,Summary,Text",
                rows,
                _shop_review,
            ),
            "text-classification",
            ["Summary", "Text"],
            "Score",
        ),
        Upload(
            "tweets",
            _table(
                "tweet_id,airline_sentiment,airline_sentiment_confidence,negativereason,airline,name,"
                "text,tweet_created,user_timezone",
                rows,
                _tweet,
            ),
            "text-classification",
            ["text"],
            "airline_sentiment",
        ),
        Upload(
            "bikes",
            _table("instant,dteday,season,mnth,weekday,temp,casual,registered,cnt", rows, _bikes),
            "tabular-regression",
            [],
            "cnt",
        ),
        Upload(
            "cars",
            _table("car_ID,CarName,fueltype,horsepower,citympg,price", rows, _cars),
            "tabular-regression",
            [],
            "price",
        ),
        Upload(
            "staff",
            _table(
                "Age,Attrition,BusinessTravel,Department,Education,MonthlyIncome,YearsAtCompany",
                rows,
                _staff,
            ),
            "tabular-classification",
            [],
            "Attrition",
        ),
        Upload(
            "patients",
            _table("Pregnancies,Glucose,BloodPressure,BMI,Age,Outcome", rows, _patients),
            "tabular-classification",
            [],
            "Outcome",
        ),
        Upload(
            "unnamed columns",
            _table("a,b,c,d", rows, _unnamed_species),
            "tabular-classification",
            [],
            "d",
        ),
        Upload(
            "chinese news",
            _table("序号,标题,正文,来源,分类", rows, _chinese_news),
            "text-classification",
            ["标题", "正文"],
            "分类",
        ),
        Upload(
            "japanese",
            _table("レビュー,評価", rows, _japanese),
            "text-classification",
            ["レビュー"],
            "評価",
        ),
        Upload(
            "vacancies",
            _table("job_title,company,description,salary", rows, _vacancies),
            "text-regression",
            ["job_title", "description"],
            "salary",
        ),
        Upload(
            "toxic",
            _table("id,comment_text,toxic,threat,insult", rows, _toxic),
            "text-classification",
            ["comment_text"],
            None,
        ),
        Upload(
            "insured",
            _table("age,sex,bmi,children,smoker,region,charges", rows, _insured),
            "tabular-regression",
            [],
            "charges",
        ),
        Upload(
            "spam",
            _write(
                ["v1", "v2"],
                [
                    [
                        ["ham", "spam"][n % 2],
                        f"{'Win cash now' if n % 2 else 'See you'} {n} at the usual place then",
                    ]
                    for n in range(rows)
                ],
            ),
            "text-classification",
            ["v2"],
            "v1",
        ),
        Upload(
            "loans",
            _table(
                "Loan_ID,Gender,Married,ApplicantIncome,LoanAmount,Property_Area,Loan_Status",
                rows,
                _loans,
            ),
            "tabular-classification",
            [],
            "Loan_Status",
        ),
        Upload(
            "counties",
            _table(
                "longitude,latitude,housing_median_age,median_income,median_house_value,"
                "ocean_proximity",
                rows,
                _counties,
            ),
            "tabular-regression",
            [],
            "median_house_value",
        ),
        Upload(
            "bookings",
            _table(
                "hotel,is_canceled,lead_time,arrival_month,country,adr,reservation_status",
                rows,
                _bookings,
            ),
            "tabular-classification",
            [],
            "is_canceled",
        ),
        Upload(
            "job adverts",
            _table("id,title,description,remote,employment,fraudulent", rows, _job_advert),
            "text-classification",
            ["description"],
            "fraudulent",
        ),
        Upload(
            "voted tweets",
            _table("id,hate,kind,neutral,class,tweet", rows, _voted_tweet),
            "text-classification",
            ["tweet"],
            "class",
        ),
        Upload(
            "agency news",
            _table("Class Index,Title,Description", rows, _agency_news),
            "text-classification",
            ["Title", "Description"],
            "Class Index",
        ),
        Upload(
            "work orders",
            _table("工单编号,工单内容,处理结果,部门", rows, _work_orders),
            "text-classification",
            ["工单内容"],
            "部门",
        ),
        Upload(
            "stores",
            _table("Date,Store,Dept,Weekly_Sales,IsHoliday", rows, _stores),
            "tabular-regression",
            [],
            "Weekly_Sales",
        ),
        Upload(
            "chinese answers",
            _write(
                ["问题", "答案"],
                [
                    [f"第{n}个订单怎么退货呢", f"您好请在订单页面点击退货第{n}步"]
                    for n in range(rows)
                ],
            ),
            "text-generation",
            ["问题"],
            "答案",
        ),
    ]
