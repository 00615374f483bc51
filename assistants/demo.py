"""Seeds the demo team's assistant: a shop's FAQ, a widget, a conversation that waits for a person.

A worker measures its first version, which goes live if it keeps the promise. Only what is absent is
created, so that seeding again changes nothing.
"""

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from accounts.models import Membership, Team, User
from assistants import demo_history
from assistants.conversations import state
from assistants.demo_data import generate_faq
from assistants.knowledge.phrasings import hash_text
from assistants.lifecycle import add_channel, create_assistant
from assistants.models import Answer, Assistant, Channel, Conversation, Message, Phrasing, Visitor
from assistants.versions import building
from inference.demo import EMAIL
from projects.models import Project

NAME, PROJECT = "shop-help", "Support tickets"
QUESTION = "My parcel arrived open and half of it is missing. Can somebody please call me?"
PROMISE, OUT_OF_SCOPE_SHARE = 0.95, 0.15


@transaction.atomic
def seed() -> None:
    """Does nothing without the demo team, or where it has the assistant."""
    person = User.objects.filter(email=EMAIL).first()
    membership = Membership.objects.filter(user=person).order_by("joined_at").first()
    if person is None or membership is None:
        return
    team: Team = membership.team
    if Assistant.objects.filter(team=team, name=NAME).exists():
        return
    project = Project.objects.filter(team=team, name=PROJECT).first()
    if project is None:
        return
    assistant = create_assistant(
        project, NAME, person, promise=PROMISE, out_of_scope_share=OUT_OF_SCOPE_SHARE
    )
    teach(assistant, person)
    channel = add_channel(
        assistant, Channel.Kind.WEB, person, name="Shop", allowed_origins=[settings.PUBLIC_URL]
    )
    visitor = Visitor.objects.create(channel=channel, external_hash=hash_text("demo visitor"))
    demo_history.add_rules_and_tests(assistant, person)
    conversation = Conversation.objects.create(channel=channel, visitor=visitor)
    state.append_message(conversation, Message.Author.VISITOR, QUESTION)
    state.hand_over(conversation, "rule")
    version = building.create_version(assistant, person, publish_when_measured=True)
    demo_history.add_month(channel, version, person)


def teach(assistant: Assistant, person: User) -> None:
    """Every topic of the generator as an approved answer with its phrasings."""
    rows = generate_faq()
    texts = {row.topic: row.answer for row in rows}
    made = Answer.objects.bulk_create(
        Answer(
            assistant=assistant,
            key=topic,
            text=text,
            state=Answer.State.APPROVED,
            approved_by=person,
            approved_at=now(),
        )
        for topic, text in texts.items()
    )
    by_key = {answer.key: answer for answer in made}
    Phrasing.objects.bulk_create(
        (
            Phrasing(
                answer=by_key[row.topic],
                text=row.question,
                text_hash=hash_text(row.question),
                origin=Phrasing.Origin.IMPORT,
            )
            for row in rows
        ),
        ignore_conflicts=True,
    )
