"""The app, and the events about teams and their credentials."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    label = "accounts"

    def ready(self) -> None:
        self._watch_access()
        from accounts.models import EventGroup, Notice, NoticeEmail, WebhookDelivery
        from accounts.notifications.events import EventType, register_events
        from accounts.sign_in import stream_endings
        from web.queues.readings import register_queue

        stream_endings.connect()
        register_queue("notices", lambda: Notice.objects.pending_fan_out(), "created_at")
        register_queue("e-mails", lambda: NoticeEmail.objects.due(), "next_at")
        register_queue("webhooks", lambda: WebhookDelivery.objects.due(), "next_at")

        security = EventGroup.SECURITY
        register_events(
            EventType("member.joined", security, "Somebody joined the team"),
            EventType("token.created", security, "An API token was created"),
            EventType("team.frozen", security, "The team was suspended by an operator"),
            EventType("team.unfrozen", security, "The suspension was lifted"),
            EventType("webhook.disabled", security, "A webhook was disabled"),
            position=50,
        )

    def _watch_access(self) -> None:
        """End access after each change of who may do what: by a page, the admin or a cascade."""
        from django.db.models.signals import post_delete, post_save

        from accounts.models import Membership, User
        from accounts.teams.access import end_access

        def after_person_changed(instance: User, created: bool, **_: object) -> None:
            if not created and not instance.is_active:
                end_access(instance)

        def after_membership_changed(
            instance: Membership, created: bool = False, **_: object
        ) -> None:
            if not created:
                end_access(instance.user)

        post_save.connect(after_person_changed, User, weak=False)
        post_save.connect(after_membership_changed, Membership, weak=False)
        post_delete.connect(after_membership_changed, Membership, weak=False)
