from django.apps import AppConfig


class AssistantsConfig(AppConfig):
    name = "assistants"
    label = "assistants"

    def ready(self) -> None:
        from accounts.models import EventGroup
        from accounts.notifications.events import EventType, register_events
        from assistants import checks  # noqa: F401
        from assistants.lifecycle import named_assistants, projects_of
        from assistants.people.notices import WAITING
        from billing.statements.sources import register_source

        register_source(
            "assistant", named_assistants, "assistants:assistant", "Assistant", projects_of
        )
        register_events(
            EventType("assistant.live", EventGroup.RESULTS, "A version of an assistant is live"),
            EventType(
                "assistant.promise_broken",
                EventGroup.RESULTS,
                "An assistant answers below its promise",
            ),
            EventType(
                "assistant.version_refused",
                EventGroup.RESULTS,
                "A version of an assistant is built and does not go live",
            ),
            EventType(
                "conversation.handed_over",
                EventGroup.INBOX,
                "A visitor waits for a person",
                bundling=WAITING,
            ),
            EventType("conversation.closed", EventGroup.PROGRESS, "A conversation is closed"),
            EventType(
                "answer.corrected", EventGroup.PROGRESS, "A person corrected what was answered"
            ),
            position=40,
        )
