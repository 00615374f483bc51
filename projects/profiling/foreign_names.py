"""Words of columns' names in other languages than English, with how surely they name a target or a
text. Names that are not split into words, such as Chinese ones, are looked for anywhere."""

# Of German, French, Spanish, Portuguese, Italian and Russian, without accents.
FOREIGN_TARGET_WORDS = {
    "kategorie": 6, "absicht": 6, "bewertung": 4, "stimmung": 6, "kundigung": 6, "preis": 5,
    "gehalt": 5, "umsatz": 5, "klasse": 6, "thema": 5, "abteilung": 4, "ausfall": 5,
    "categorie": 6, "etiquette": 6, "note": 4, "prix": 5, "salaire": 5, "ventes": 5, "classe": 6,
    "etiqueta": 6, "categoria": 6, "intencion": 6, "sentimiento": 6, "precio": 5, "salario": 5,
    "ventas": 5, "clase": 6, "abandono": 5, "sentimento": 6, "intencao": 6, "preco": 5, "vendas": 5,
    "etichetta": 6, "prezzo": 5, "stipendio": 5, "vendite": 5, "valutazione": 4, "service": 3,
    "категория": 6, "тональность": 6, "метка": 6, "класс": 6, "цена": 5, "оценка": 4, "отток": 6,
    "tipo": 3, "gekundigt": 6, "prioridad": 3, "gravedad": 4, "gravite": 4, "dringlichkeit": 3,
    "miete": 5, "loyer": 5, "alquiler": 5, "affitto": 5, "verbrauch": 4, "consommation": 4,
    "consumo": 4, "ertrag": 4, "rendement": 4, "rendimiento": 4, "ergebnis": 4, "resultat": 4,
    "resultado": 4, "risultato": 4, "diagnose": 6, "diagnostico": 6, "fraude": 6, "betrug": 6,
    "frode": 6, "impago": 6, "resiliation": 6, "risiko": 4, "risque": 4, "riesgo": 4, "rischio": 4,
    "puntuacion": 4, "nota": 4, "voto": 4,
    # Of Turkish, Polish, Dutch and Indonesian.
    "duygu": 6, "kategori": 6, "etiket": 6, "sinif": 6, "puan": 4, "fiyat": 5, "kategoria": 6,
    "ocena": 4, "etykieta": 6, "klasa": 6, "cena": 5, "sentyment": 6, "prijs": 5, "onderwerpen": 5,
    "sentimen": 6, "harga": 5,
}  # fmt: skip
CJK_TARGET_WORDS = {
    "标签": 6, "標籤": 6, "类别": 6, "類別": 6, "分类": 6, "分類": 6, "意图": 6, "意圖": 6,
    "情感": 6, "情绪": 6, "感情": 6, "目标": 5, "结果": 4, "类型": 4, "類型": 4, "主题": 4,
    "评分": 4, "評分": 4, "评级": 4, "星级": 4, "打分": 4, "得分": 4, "評価": 4, "点数": 3,
    "流失": 6, "欺诈": 6, "违约": 6, "逾期": 6, "离职": 6, "垃圾": 5, "好评": 4, "存活": 6,
    "生存": 6, "诊断": 6, "购买": 4, "成交价": 6, "总价": 5, "价格": 5, "售价": 5, "房价": 5,
    "单价": 4, "薪资": 5, "工资": 5, "薪水": 5, "销量": 5, "销售额": 5, "価格": 5, "部门": 4,
    "状态": 2, "状況": 2, "频道": 4, "栏目": 4, "故障": 5, "合格": 5, "异常": 4, "复购": 6,
    "续费": 6, "转化": 5, "录取": 6, "通过": 3, "租金": 5, "月租": 5, "等级": 3,
    "费用": 4, "总费用": 5, "花费": 4,
    "优先级": 3, "队列": 5, "极性": 6, "满意": 4, "カテゴリ": 6, "ラベル": 6,
    "ประเภท": 5, "ความรู้สึก": 6,
    "라벨": 6, "카테고리": 6, "분류": 6, "감정": 6, "감성": 6, "의도": 6, "유형": 4, "평점": 4,
    "별점": 4, "가격": 5, "이탈": 6,
}  # fmt: skip
FOREIGN_TEXT_WORDS = {
    "nachricht": 6, "betreff": 5, "beschreibung": 5, "kommentar": 6, "anfrage": 5, "frage": 5,
    "titel": 4, "objet": 5, "texte": 6, "avis": 6, "commentaire": 6, "titre": 4, "texto": 6,
    "mensaje": 6, "asunto": 5, "comentario": 6, "resena": 6, "descripcion": 5, "titulo": 4,
    "mensagem": 6, "assunto": 5, "descricao": 5, "avaliacao": 5, "testo": 6, "messaggio": 6,
    "oggetto": 5, "recensione": 6, "descrizione": 5, "titolo": 4, "commento": 6,
    "текст": 6, "отзыв": 6, "комментарий": 6, "сообщение": 6, "описание": 5, "вопрос": 5,
    "заголовок": 4,
    "yorum": 6, "metin": 6, "mesaj": 6, "opinia": 6, "tresc": 6, "komentarz": 6, "wiadomosc": 6,
    "bericht": 6, "onderwerp": 5, "omschrijving": 5, "ulasan": 6, "komentar": 6, "pesan": 6,
}  # fmt: skip
CJK_TEXT_WORDS = {
    "文本": 6, "评论": 6, "評論": 6, "内容": 6, "內容": 6, "正文": 6, "标题": 4, "標題": 4,
    "消息": 6, "问题": 5, "問題": 5, "描述": 5, "留言": 6, "反馈": 6, "句子": 6, "摘要": 4,
    "投诉": 5, "主诉": 5, "症状": 5, "病史": 5, "问句": 6, "语句": 6, "原文": 6, "建议": 5,
    "意见": 5, "诉求": 5, "备注": 4, "简介": 5, "来信": 5,
    "工单": 3, "弹幕": 6, "微博": 6, "新闻": 5, "咨询": 5, "提问": 5, "本文": 6,
    "レビュー": 6, "コメント": 6, "感想": 6, "質問": 5, "ข้อความ": 6, "รีวิว": 6,
    "리뷰": 6, "댓글": 6, "내용": 6, "본문": 6, "제목": 4, "문장": 6, "질문": 5, "문의": 5,
}  # fmt: skip
