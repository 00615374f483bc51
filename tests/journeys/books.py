"""More of what must be true after a storm: daily sums, credit, what Stripe is told, notices.

Like `invariants`: each claim is a query, in plain SQL, for the rows that break it.
"""

CHARGES = "('compute', 'inference')"
CREDIT = "('credit', 'expiry', 'take_back')"

SUMS = {
    "the daily sums are the ledger's charges": f"""
        SELECT * FROM
        (SELECT team_id, day, source, sum(amount_micro) AS micro FROM billing_usageday
         GROUP BY 1, 2, 3) kept
        FULL JOIN (SELECT team_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, about AS source,
                   sum(amount_micro) AS micro FROM billing_ledgerentry WHERE kind IN {CHARGES}
                   GROUP BY 1, 2, 3) booked USING (team_id, day, source)
        WHERE coalesce(kept.micro, 0) <> coalesce(booked.micro, 0)""",
    "the daily sums are the segments' time": """
        SELECT * FROM
        (SELECT team_id, source, sum(device_ms) AS ms FROM billing_usageday GROUP BY 1, 2) kept
        FULL JOIN (SELECT team_id, source, sum(device_ms) AS ms FROM billing_usagesegment
                   GROUP BY 1, 2) metered USING (team_id, source)
        WHERE coalesce(kept.ms, 0) <> coalesce(metered.ms, 0)""",
}
CREDITS = {
    "what is left of credit is what nothing used": """
        SELECT credit.id, left_micro, granted_micro, coalesce(sum(amount_micro), 0)
        FROM billing_creditgrant credit LEFT JOIN billing_creditburn burn
        ON burn.grant_id = credit.id
        GROUP BY credit.id HAVING left_micro <> granted_micro - coalesce(sum(amount_micro), 0)""",
    "credit is granted in the ledger once": """
        SELECT credit.id, count(entry.id), sum(entry.amount_micro) FROM billing_creditgrant credit
        LEFT JOIN billing_ledgerentry entry
        ON entry.about = 'credit:' || credit.id AND entry.kind = 'credit'
        GROUP BY credit.id
        HAVING count(entry.id) <> 1 OR sum(entry.amount_micro) <> -granted_micro""",
    "credit settles no more of a charge than the charge": f"""
        SELECT entry.id, entry.amount_micro, sum(burn.amount_micro)
        FROM billing_ledgerentry entry JOIN billing_creditburn burn ON burn.entry_id = entry.id
        WHERE entry.kind NOT IN {CREDIT} GROUP BY entry.id
        HAVING abs(sum(burn.amount_micro)) > abs(entry.amount_micro)
        OR sign(sum(burn.amount_micro)) <> sign(entry.amount_micro)""",
    "nobody pays while credit is left": f"""
        SELECT entry.team_id, entry.id FROM billing_ledgerentry entry
        JOIN (SELECT team_id, sum(left_micro) AS micro, min(granted_at) AS since
              FROM billing_creditgrant GROUP BY 1) credit ON credit.team_id = entry.team_id
        LEFT JOIN billing_creditburn burn ON burn.entry_id = entry.id
        WHERE entry.kind IN {CHARGES} AND credit.micro > 0 AND entry.occurred_at > credit.since
        AND NOT EXISTS (SELECT FROM billing_ledgerentry refund
                        WHERE refund.team_id = entry.team_id AND refund.kind = 'refund')
        GROUP BY entry.id HAVING coalesce(sum(burn.amount_micro), 0) <> entry.amount_micro""",
}
OUTBOX = {
    "every segment is carried to the outbox": """
        SELECT segment.id FROM billing_usagesegment segment WHERE NOT EXISTS
        (SELECT FROM billing_stripeoutboxitem WHERE segment_id = segment.id)""",
    "every answered use is carried to the outbox": """
        SELECT event.id FROM billing_usageevent event WHERE NOT EXISTS
        (SELECT FROM billing_stripeoutboxevent WHERE event_id = event.id)""",
    "what was reported is the whole units of what was used": """
        SELECT team_id, meter, used, reported FROM billing_reported
        WHERE reported <> floor(used::numeric / unit)""",
    "what was reported is what the outbox says": """
        SELECT team_id, meter, subscription, lane.reported, told.units FROM
        (SELECT team_id, meter, subscription, sum(value) AS units FROM billing_stripeoutbox
         GROUP BY 1, 2, 3) told
        FULL JOIN billing_reported lane USING (team_id, meter, subscription)
        WHERE coalesce(lane.reported, 0) <> coalesce(told.units, 0)""",
    "what was used is what was metered and not given back whole": """
        SELECT lane.team_id, lane.used, metered.ms FROM
        (SELECT team_id, sum(used) AS used FROM billing_reported WHERE unit = 1000 GROUP BY 1) lane
        FULL JOIN (SELECT team_id, sum(device_ms) AS ms FROM billing_usagesegment GROUP BY 1)
        metered USING (team_id)
        WHERE coalesce(lane.used, 0) > coalesce(metered.ms, 0)""",
}
NOTICES = {
    "each change of status is told once, and nothing else": """
        SELECT change.key, notice.key FROM
        (SELECT 'training_job:' || job_id || ':' || id AS key FROM training_jobevent
         WHERE kind = 'status') change
        FULL JOIN (SELECT key FROM accounts_notice WHERE key LIKE 'training_job:%') notice
        ON notice.key = change.key WHERE change.key IS NULL OR notice.key IS NULL""",
    "each notice was passed on to e-mail and webhooks": """
        SELECT id, event FROM accounts_notice
        WHERE fanned_out_at IS NULL AND created_at < now() - interval '30 seconds'""",
}
CLAIMS = SUMS | CREDITS | OUTBOX | NOTICES
