"""Where mail goes until a mail server is set: the terminal, as a person reads it."""

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleBackend


class EmailBackend(ConsoleBackend):
    """Prints address, subject and plain text; Django's own also prints headers and HTML."""

    def write_message(self, message: EmailMessage) -> None:
        """Django's hook, under its lock."""
        rule = "-" * 72
        recipients = ", ".join(message.recipients())
        self.stream.write(f"{rule}\nE-mail to {recipients}\n{message.subject}\n\n{message.body}\n")
