"""People of several teams who launch, stop and use models while the house is on fire."""

import csv
import io
import random
import time
from collections.abc import Callable
from typing import Any

import httpx
import psycopg

from tests.engine.conftest import labelled_rows
from tests.journeys.product import Product

TEAMS = 4
READY_SECONDS = 120
FINAL = {"succeeded", "failed", "cancelled"}
GOOD, BAD = "good", "bad"
ORDINARY = {404, 409, 502, 503}  # 404: a model that is not served yet. 502: its process is away.


class Customers:
    """Everything through the API; answers that do not come are borne and asked for again."""

    def __init__(self, product: Product, dice: random.Random, say: Callable[[str], None]) -> None:
        self.dice = dice
        self.say = say
        self.launched: set[str] = set()
        self.wishes: list[tuple[int, str]] = []  # Team and kind of data of jobs yet to launch.
        self.asked = 0
        self.broken: list[str] = []  # Answers that blame ourselves: weather is no excuse.
        self._product = product
        self._apis: list[httpx.Client] = []
        self._data: list[dict[str, tuple[str, str]]] = []
        self._owner: dict[str, int] = {}
        self._seen: dict[str, str] = {}
        self._cancelled = 0
        self._served: str | None = None

    def arrive(self, jobs: int) -> None:
        """Teams sign up and import; a third of the jobs is launched before the storm."""
        for number in range(TEAMS):
            token = self._product.manage(
                "create_api_token", "--email", f"{number}@storm.example", "--team", f"Team {number}"
            )
            api = self._product.api(token)
            api.timeout = httpx.Timeout(10)
            self._apis.append(api)
            self._data.append({})
            self._data[number][GOOD] = _imported(api, GOOD, labelled_rows(240, seed=number))
        texts, labels = labelled_rows(60)
        self._data[0][BAD] = _imported(self._apis[0], BAD, (texts, ["only one"] * len(labels)))
        self.wishes = [(number % TEAMS, GOOD) for number in range(jobs)]
        for place in range(0, jobs, 6):
            self.wishes[place] = (0, BAD)
        for _ in range(max(2, jobs // 3)):
            self._launch()

    def do_something(self) -> None:
        """One small deed of one person, if anything answers."""
        deeds: dict[Callable[[], None], int] = {
            self._launch: 3,
            self._pause: 2,
            self._resume: 3,
            self._cancel: 1,
            self._ask: 3,
        }
        deed = self.dice.choices(list(deeds), list(deeds.values()))[0]
        self._bravely(deed)

    def finish_business(self) -> None:
        """Launch what was still wanted, resume what was paused, look at everything."""
        if self.wishes:
            self._bravely(self._launch)
        self._bravely(self._look)
        for job, state in self._seen.items():
            if state == "paused":
                self._bravely(lambda job=job: self._post(job, "resume"))

    def is_all_over(self) -> bool:
        return (
            not self.wishes
            and self.launched <= set(self._seen)
            and set(self._seen.values()) <= FINAL
        )

    def states(self) -> dict[str, str]:
        return dict(self._seen)

    def ask_every_model(self, database: psycopg.Connection[Any]) -> None:
        """Every model that was made can be deployed and answers."""
        made = database.execute(
            "SELECT id::text, model_id::text FROM training_trainingjob"
        ).fetchall()
        for job, model in made:
            if model is None:
                continue
            api = self._apis[self._owner_of(job)]
            name = f"after-{model[:8]}"
            answer = api.post("/api/v1/deployments", json={"model": model, "name": name})
            assert answer.status_code == 201, answer.text
            asked = {"model": name, "input": ["my old hammer", "today in oslo"]}
            answer = _patiently(lambda api=api, asked=asked: api.post("/v1/classify", json=asked))
            assert answer.status_code == 200, answer.text
            assert len(answer.json()["data"]) == 2

    def _owner_of(self, job: str) -> int:
        """Also of a job whose launch was accepted while its answer was lost."""
        if job not in self._owner:
            for number, api in enumerate(self._apis):
                if api.get(f"/api/v1/training-jobs/{job}").status_code == 200:
                    self._owner[job] = number
        return self._owner[job]

    def _bravely(self, deed: Callable[[], None]) -> None:
        try:
            deed()
        except (httpx.HTTPError, ValueError) as weather:
            self.say(f"{deed.__name__.strip('_<>')}: {type(weather).__name__}")

    def _launch(self) -> None:
        if not self.wishes:
            return
        team, kind = self.wishes[0]
        project, dataset = self._data[team][kind]
        body = {
            "project": project,
            "dataset": dataset,
            "task": "text-classification",
            "text_column": "text",
            "target_column": "label",
            "hyperparameters": {
                "epochs": self.dice.randint(8, 30),
                "batch_tokens": 64,
                "early_stopping_patience": 0,
            },
        }
        answer = self._apis[team].post("/api/v1/training-jobs", json=body)
        if answer.status_code == 201:
            job = answer.json()["id"]
            self.launched.add(job)
            self._owner[job], self._seen[job] = team, "queued"
            self.wishes.pop(0)
            self.say(f"launched {job[:8]} ({kind})")
        elif kind == BAD and answer.status_code == 400 and _code_of(answer) == "cannot_launch":
            self.wishes.pop(0)  # Its labels were counted before anything was queued.
            self.say("refused to launch bad data")
        else:
            self._note(answer, "launch")

    def _pause(self) -> None:
        self._act("pause", {"queued", "running"})

    def _resume(self) -> None:
        self._act("resume", {"paused"})

    def _cancel(self) -> None:
        if self._cancelled < max(1, len(self.launched) // 5) and self._act(
            "cancel", {"queued", "running", "paused"}
        ):
            self._cancelled += 1

    def _act(self, verb: str, states: set[str]) -> bool:
        self._look()
        fit = [job for job, state in self._seen.items() if state in states]
        return bool(fit) and self._post(self.dice.choice(fit), verb)

    def _post(self, job: str, verb: str) -> bool:
        answer = self._apis[self._owner_of(job)].post(f"/api/v1/training-jobs/{job}/{verb}")
        if answer.status_code == 200:
            self._seen[job] = answer.json()["status"]
            self.say(f"{verb} {job[:8]}: {self._seen[job]}")
        elif answer.status_code != 409:  # Somebody else was faster: an ordinary answer.
            self._note(answer, verb)
        return answer.status_code == 200

    def _look(self) -> None:
        for number, api in enumerate(self._apis):
            answer = api.get("/api/v1/training-jobs", params={"limit": 100})
            if answer.status_code != 200:
                self._note(answer, "look")
                continue
            for job in answer.json()["data"]:
                self._owner[job["id"]], self._seen[job["id"]] = number, job["status"]
                if job["status"] == "succeeded" and self._served is None and number == 1:
                    self._serve(api, job["model"])

    def _serve(self, api: httpx.Client, model: str) -> None:
        answer = api.post("/api/v1/deployments", json={"model": model, "name": "in-the-storm"})
        if answer.status_code in {201, 409}:
            self._served = "in-the-storm"
            self.say("deployed the first model")

    def _ask(self) -> None:
        if self._served is None:
            return
        asked = {"model": self._served, "input": ["a new chisel and a plum"] * 8}
        answer = self._apis[1].post("/v1/classify", json=asked)
        if answer.status_code == 200:
            self.asked += 1
        else:
            self._note(answer, "ask")

    def _note(self, answer: httpx.Response, deed: str) -> None:
        self.say(f"{deed}: {answer.status_code}")
        if answer.status_code not in ORDINARY and not _asks_to_wait(answer):
            self.broken.append(f"{deed}: {answer.status_code} {answer.text[:500]}")


def _imported(
    api: httpx.Client, name: str, columns: tuple[list[str], list[str]]
) -> tuple[str, str]:
    """The ids of a new project and of its ready dataset."""
    text = io.StringIO()
    csv.writer(text).writerows([("text", "label"), *zip(*columns, strict=True)])
    project = api.post("/api/v1/projects", json={"name": name}).json()["id"]
    answer = api.post(
        "/api/v1/datasets",
        files={"file": (f"{name}.csv", text.getvalue().encode())},
        data={"project": project, "name": name},
    )
    assert answer.status_code == 202, answer.text
    dataset = answer.json()["id"]
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        body = api.get(f"/api/v1/datasets/{dataset}").json()
        if body["status"] == "ready":
            return project, dataset
        assert body["status"] != "failed", body
        time.sleep(0.3)
    raise AssertionError("the import does not end")


def _code_of(answer: httpx.Response) -> str | None:
    code: str | None = answer.json()["error"]["code"]
    return code


def _asks_to_wait(answer: httpx.Response) -> bool:
    """As where requests had waited for a frozen database: nothing was done, and it says when."""
    is_overloaded = '"overloaded"' in answer.text
    return answer.status_code == 429 and is_overloaded and "Retry-After" in answer.headers


def _patiently(ask: Callable[[], httpx.Response], seconds: float = 60) -> httpx.Response:
    """Until the answer is no longer 503: a model process that just started loads first."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer.status_code not in {502, 503} or time.monotonic() > deadline:
            return answer
        time.sleep(1)
