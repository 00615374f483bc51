"""Further tables for suggestions, a line each as in public_tables.py: what each of them is for."""

# ruff: noqa: E501 - a table of cases, one to a line.

from tests.projects.profiling.public_tables import C, G, R, T

# Each of these was once read for something else.
MENDED = (
    "a coordinate among accelerations", "what two speakers say", "a yield by area",
    "questions and answers in German", "a customer and an agent", "a component among priorities",
    "a quantity in the middle", "a Spanish noun before its genitive", "a grade of an answer",
    "the only code",
)  # fmt: skip
FURTHER: dict[str, tuple[str, list[str], str | list[str], str]] = {
    "a coordinate among accelerations": (
        C,
        [],
        "activity",
        "acc_x:-2.0..2.0~.6; acc_y:-2.0..2.0~.7; acc_z:-2.0..2.0; gyro_x:-4.0..4.0~.5; gyro_y:-4.0..4.0; gyro_z:-4.0..4.0; activity:sit|walk|run|stairs~.95; subject:1..20",
    ),
    "what two speakers say": (
        G,
        ["user_message"],
        "assistant_reply",
        "conversation_id:hex; turn:1..6; user_message:t14; assistant_reply:t30; model:a|b",
    ),
    "a yield by area": (
        R,
        [],
        "yield_t_ha",
        "field:F1|F2|F3|F4; ph:4.5..8.5~.3; nitrogen:5..80~.7; rain_mm:200..900~.7; seed_variety:a|b|c~.2; yield_t_ha:1.2..9.8~.95; harvest_date:date",
    ),
    "questions and answers in German": (
        G,
        ["Frage"],
        "Antwort",
        "Nr:#; Frage:t10; Antwort:t40; Rubrik:Konto|Versand|Zahlung",
    ),
    "a customer and an agent": (
        G,
        ["customer_message"],
        "agent_reply",
        "chat_id:hex; customer_message:t15; agent_reply:t25; agent_name:name",
    ),
    "a price by area": (
        R,
        [],
        "price_per_m2",
        "flat:#; district:A|B|C|D~.4; year_built:1900..2022~.4; size_m2:20..200; metro_min:1..30~.5; price_per_m2:900..9000~.95",
    ),
    "a component among priorities": (
        T,
        ["Summary", "Description"],
        "Component",
        "Issue key:#PRJ-; Issue id:#1; Summary:t9~.9; Description:t40~.8; Reporter:name; Assignee:name; Component:UI|API|DB|Auth~.95; Priority:Low|Medium|High; Created:stamp",
    ),
    "a quantity in the middle": (
        R,
        [],
        "efficiency",
        "t1:100.0..400.0~.6; t2:100.0..400.0~.4; efficiency:0.100..0.990~.95; flow:1.0..50.0~.5; pressure:1.0..12.0~.5",
    ),
    "a Spanish noun before its genitive": (
        T,
        ["descripción_reclamo"],
        "tipo_reclamo",
        "folio:#; fecha:date; descripción_reclamo:t35~.9; tipo_reclamo:cobro|servicio|entrega~.95; estado:abierto|cerrado",
    ),
    "a grade of an answer": (
        T,
        ["question", "student_answer"],
        "score",
        "question:t12; student_answer:t20~.9; score:0|1|2~.97",
    ),
    "the only code": (
        T,
        ["note"],
        "icd_code",
        "note:t60~.9; icd_code:J10|I20|E11|K21~.97; patient:hex; visit:date",
    ),
    "questions as names": (
        C,
        [],
        "Would you buy again?",
        "Timestamp:stamp; What is your age group?:18-25|26-40|41-65; How often do you shop with us?:weekly|monthly|yearly~.5; How satisfied are you with delivery?:1..5~.7; How satisfied are you with prices?:1..5~.6; Would you buy again?:No|Yes~.9",
    ),
    "a column known later": (
        C,
        [],
        "is_late",
        "order_id:#O; carrier:DHL|UPS|FedEx; distance_km:5..1500~.5; weight_kg:0.1..30.0~.3; promised_days:1..7; is_late:0|0|1~.95; days_late:0..10~.95",
    ),
    "yes and no beside a number": (
        R,
        [],
        "annual_premium",
        "customer:#; smoker:yes|no~.7; diabetic:yes|no~.4; exercise:yes|no~.3; age:18..80~.6; bmi:16.0..45.0~.4; annual_premium:300..12000~.95",
    ),
    "points of few values": (
        R,
        [],
        "exam_points",
        "student:#; school:A|B|C; hours_studied:0..40~.9; attendance_pct:40..100~.6; prior_gpa:1.0..4.0~.7; exam_points:0..30~.95",
    ),
    "lists of labels": (
        T,
        ["message"],
        "tags",
        "message:t25~.9; tags:billing|login;billing|crash|login|crash;login~.9; created:date",
    ),
    "French notes from one to five": (
        T,
        ["avis"],
        "note",
        "produit:Lampe|Table|Chaise; avis:t22~.9; note:1|2|3|4|5~.95; date_avis:date",
    ),
    "Chinese texts beside names": (
        T,
        ["自我介绍"],
        "应聘岗位",
        "序号:#; 姓名:张伟|王芳|李娜; 自我介绍:zh30~.9; 应聘岗位:工程师|销售|会计|客服~.95; 学历:本科|硕士|博士",
    ),
    "a column for each label": (
        T,
        ["synopsis"],
        ["drama", "comedy", "horror"],
        "film_id:#; synopsis:t40~.9; drama:0|1~.9; comedy:1|0~.9; horror:0|0|1~.9",
    ),
    "stars before their text": (
        T,
        ["guest_comment"],
        "stars",
        "stay_id:#; stars:1|2|3|4|5~.97; guest_comment:t30~.9; nights:1..14; room:single|double",
    ),
}
