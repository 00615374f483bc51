"""Messages of sentences that code builds up in steps, so that no single f-string holds them whole.

`{number…}` stands for digits, and `{…_words}` for words of ours that are translated too.
"""

VERDICTS = (
    "Tuning helped: {measured_words} against {others_words}.",
    "Tuning hurt: {measured_words} against {others_words}.",
    "No clear gain: {measured_words} against {others_words}.",
    "Not compared with anything: {measured_words}.",
    "It is {number} points better than {name_words} (95% CI {number_low} to {number_high}).",
    "It is {number} points worse than {name_words} (95% CI {number_low} to {number_high}).",
    "It is {number} points better than {name_words}.",
    "It is {number} points worse than {name_words}.",
    "It is {number} better than {name_words} (95% CI {number_low} to {number_high}).",
    "It is {number} worse than {name_words} (95% CI {number_low} to {number_high}).",
    "It is {number} better than {name_words}.",
    "It is {number} worse than {name_words}.",
)
MEASURED = (
    "accuracy {number} (95% CI {number_low}–{number_high})",
    "micro F1 {number} (95% CI {number_low}–{number_high})",
    "root mean squared error {number} (95% CI {number_low}–{number_high})",
    "loss of a token {number} (95% CI {number_low}–{number_high})",
    "accuracy {number}",
    "micro F1 {number}",
    "root mean squared error {number}",
    "loss of a token {number}",
)
RIVALS = (
    "{number} for {name_words}",
    "{number} for {name_words} and {number_2} for {name_words_2}",
    "{number} for {name_words} and {number_2} for {name_words_2} and {number_3} for {name_words_3}",
)
# Kinds of stored bytes, and other names that pages show as words.
WORDS = ("Queues", "Datasets", "Models", "Files", "estimating…")
# Labels that a form makes of a field's name, and choices of one word.
FORM_WORDS = (
    "Legal name", "e-mail", "nothing", "Caret ^", "Colon :", "Comma ,", "Hash #", "Pipe |",
    "Semicolon ;", "Tilde ~", 'twice ("")', 'with a backslash (\\")', "Single '", 'Double "',
)  # fmt: skip
# What happened to a row between two versions, and to a conversation when it was closed.
FATES = ("changed", "added", "removed", "resolved", "unconfirmed", "unresolved", "abandoned")
# Figures of an assistant, by their names in the API.
FIGURES = (
    "Consultations",
    "Answer rate",
    "Containment",
    "Hand over rate",
    "Confirmed resolution",
    "Unconfirmed",
    "Return rate",
    "Csat",
    "Csat response rate",
    "Precision live",
    "Out of scope share",
    "Drift",
    "Topic",
    "Seconds to answer",
    "Seconds to person",
    "Cost",
)
# The verdict in one line: of this model, of the best baseline, and whether that may be chance.
COMPARED = (
    "{number} right.",
    "{number} right; {rival_words} {number_2}.",
    "{number} right; {rival_words} {number_2}; with {number_3} test rows the difference may be"
    " chance.",
    "{number} right; {rival_words} {number_2}; with 1 test row the difference may be chance.",
    "Root mean squared error {number}.",
    "Root mean squared error {number}; {rival_words} {number_2}.",
    "Micro F1 {number}.",
    "Micro F1 {number}; {rival_words} {number_2}.",
    "ROUGE-L {number}.",
    "ROUGE-L {number}; {rival_words} {number_2}.",
    "Loss of a token {number}.",
    "Loss of a token {number}; {rival_words} {number_2}.",
    "{name_words} {number}; {rival_words} {number_2}; with 1 test row the difference may be"
    " chance.",
    "{name_words} {number}; {rival_words} {number_2}; with {number_3} test rows the difference may"
    " be chance.",
)
# What a dataset could teach, and why.
PROPOSALS = (
    "{names} is free text; {target_phrase}",
    "{names} are free text; {target_phrase}",
    "{name} and {name_2} are free text; {target_phrase}",
    "{number} other column describes each row; {target_phrase}",
    "{number} other columns describe each row; {target_phrase}",
    "{name} is a number to estimate.",
    "{name} is a number to estimate: {why}.",
    "{name} holds lists of 1 label.",
    "{name} holds lists of 1 label: {why}.",
    "{name} holds lists of {number} labels.",
    "{name} holds lists of {number} labels: {why}.",
    "{name} repeats {number} values over {number_2} rows.",
    "{name} repeats {number} values over {number_2} rows: {why}.",
    "its name says so and it is the last column",
)
# Badges of what has no choices of a model, by web.templatetags.ui.STATUS_TONES.
STATES = (
    "Active", "Delivered", "Disabled", "Down", "Enabled", "Expired", "Failed", "Frozen",
    "Importing", "Live", "Loading", "Open", "Paid", "Past due", "Paused", "Pending", "Queued",
    "Ready", "Retrying", "Running", "Succeeded", "Trialing", "Unpaid", "Uploading",
)  # fmt: skip
# Why the engine ended a job, as its process says at the end (engine.__main__).
ENDINGS = (
    "The training stopped on an unexpected error. You were not charged.",
    "There was no room left to write on the machine. You were not charged.",
    "The processes of this job lost touch with each other. You were not charged.",
    "The job's settings cannot be read from {name}.",
    "The job's settings are wrong: {name}: {words}.",
)
TASKS = (
    "text classification", "text regression", "text generation", "image classification",
    "tabular classification", "tabular regression",
)  # fmt: skip
# Which members of an ensemble answer, with their weights.
MEMBERS = (
    "{first_words} ({number}) and {second_words} ({number_2})",
    "{first_words} ({number}), {second_words} ({number_2}) and {third_words} ({number_3})",
    "{first_words} ({number}), {second_words} ({number_2}), {third_words} ({number_3}) and"
    " {fourth_words} ({number_4})",
    "{first_words} ({number}), {second_words} ({number_2}), {third_words} ({number_3}),"
    " {fourth_words} ({number_4}) and {fifth_words} ({number_5})",
)
CONTENDERS = ("a linear model on words", "a linear model on characters", "accuracy", "R²")
# Parts of the test rows, and how far a difference reaches.
PARTS = (
    "(other)", "(missing)", "{number} to {number_2}", "{number} points to {number_2} points",
    "shortest third ({number}–{number_2} tokens)", "middle third ({number}–{number_2} tokens)",
    "longest third ({number}–{number_2} tokens)",
)  # fmt: skip
# Lengths of time: training.jobs.limits.format_duration and how long ago a worker was seen.
DURATIONS = (
    "{number} s", "{number} min", "{number} h", "{number} h {number_2} min", "{number} days",
)  # fmt: skip
NAMES = ("{name}'s team",)
# Details of the audit log, by their keys.
DETAILS = ("answers with",)
STAGES = ("{status_words} at step {number} of {number_2}",)
# Beside columns of a dataset: what a filter asks, and kinds of values.
COLUMNS = ("is", "datetime", "{number} values", "{number} different")
# What the first plans offer: written by a migration.
OFFERS = (
    "Every task, evaluation report and export",
    "OpenAI-compatible API",
    "Everything in Free",
    "Everything in Team",
    "Credit for the first hours of each month",
    "Room for many fine-tunes side by side",
)
TEXTS = (
    *WORDS, *FIGURES, *COMPARED, *PROPOSALS, *TASKS, *COLUMNS, *OFFERS, *VERDICTS, *MEASURED,
    *RIVALS, *MEMBERS, *CONTENDERS, *PARTS, *STAGES, *DETAILS, *NAMES, *DURATIONS, *FATES,
    *FORM_WORDS, *STATES, *ENDINGS,
)  # fmt: skip
