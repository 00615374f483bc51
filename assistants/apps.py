from django.apps import AppConfig


class AssistantsConfig(AppConfig):
    name = "assistants"
    label = "assistants"

    def ready(self) -> None:
        from accounts.teams.access import register_ending
        from assistants import checks  # noqa: F401
        from assistants.gateway import assistant_models
        from assistants.models import Assistant
        from assistants.people.owners import release_of
        from assistants.queries.needs import assistants_needs
        from assistants.queries.uses import (
            assistants_of_project,
            assistants_that_write_with,
            find_assistants,
        )
        from assistants.trash.items import removed_assistants
        from inference.gateway.other_models import register_models
        from inference.queries.needs import register_needs
        from inference.queries.search import Page, register_kind, register_page
        from inference.queries.trash import register_trash
        from training.cost_sources import register_project_source
        from web.browser.parts import register_uses

        register_uses("project", assistants_of_project)
        register_uses("endpoint", assistants_that_write_with)
        register_kind("Assistant", "assistants:assistant", "chat", find_assistants)
        register_page(Page("Assistants", "assistants:assistants", "chat", "bots chat"))
        register_page(Page("New assistant", "assistants:create", "plus", right="write"))
        register_page(Page("Inbox", "assistants:inbox", "inbox", "conversations", right="inbox"))
        register_project_source("assistant", Assistant, "assistants:assistant", "Assistant")
        register_ending(release_of)
        register_needs(assistants_needs)
        register_trash(removed_assistants)
        register_models(assistant_models())
        _register_events()


def _register_events() -> None:
    from accounts.models import EventGroup
    from accounts.notifications.events import EventType, register_events
    from assistants.people.notices import WAITING

    register_events(
        EventType("assistant.live", EventGroup.RESULTS, "A version of an assistant is live"),
        EventType(
            "assistant.promise_broken",
            EventGroup.FAILURES,
            "An assistant answers below its promise",
        ),
        EventType(
            "assistant.version_refused",
            EventGroup.FAILURES,
            "A version of an assistant is built and does not go live",
        ),
        EventType(
            "assistant.version_failed",
            EventGroup.FAILURES,
            "A version of an assistant could not be measured",
        ),
        EventType(
            "conversation.handed_over",
            EventGroup.INBOX,
            "A visitor waits for a person",
            bundling=WAITING,
        ),
        EventType("conversation.closed", EventGroup.PROGRESS, "A conversation is closed"),
        EventType("answer.corrected", EventGroup.PROGRESS, "A person corrected what was answered"),
        position=40,
    )
