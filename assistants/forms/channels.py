"""The forms of channels: a widget, a WeChat official account, a mailbox."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from django import forms

from assistants.errors import MailFailed, WechatRefused
from assistants.forms.assistants import lines_of
from assistants.mail.account import TLS_FROM_THE_START, MailAccount
from assistants.models import Channel
from assistants.models.conversation import QUESTIONS_A_DAY
from assistants.wechat.replying import Account
from web.language.sentences import lazy_choices

KEPT = "One is set. Leave this empty to keep it."


class ChannelForm(forms.Form):
    """What every channel has. `changes` are fields of the model."""

    secret_fields: tuple[str, ...] = ()

    name = forms.CharField(max_length=80, required=False)
    daily_limit = forms.IntegerField(
        min_value=0,
        max_value=10_000_000,
        required=False,
        label="Questions a day",
        help_text="More are refused, whoever asks them. Empty: 20,000.",
    )

    def __init__(self, data: Any = None, *, channel: Channel | None = None) -> None:
        self.channel = channel
        super().__init__(data, initial=self._known() if channel else None)
        known = _account_of(channel) if channel and self.secret_fields else {}
        for name in self.secret_fields:
            if known.get(name):
                self.fields[name].required = False
                self.fields[name].help_text = KEPT

    def _known(self) -> dict[str, Any]:
        assert self.channel is not None
        return {"name": self.channel.name, "daily_limit": self.channel.daily_limit}

    def changes(self) -> dict[str, Any]:
        limit = self.cleaned_data.get("daily_limit")
        return {
            "name": self.cleaned_data["name"],
            "daily_limit": QUESTIONS_A_DAY if limit is None else limit,
        }

    def _with_kept(self, fields: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        """The fields, with a secret that was left empty as it is."""
        return {
            name: known.get(name, "") if name in self.secret_fields and not value else value
            for name, value in fields.items()
        }


class WidgetForm(ChannelForm):
    """A widget for some web sites."""

    allowed_origins = forms.CharField(
        max_length=4000,
        help_text="One site on each line, such as https://www.example.com.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def _known(self) -> dict[str, Any]:
        assert self.channel is not None
        return super()._known() | {"allowed_origins": "\n".join(self.channel.allowed_origins)}

    def changes(self) -> dict[str, Any]:
        origins = lines_of(self.cleaned_data["allowed_origins"])
        return super().changes() | {"allowed_origins": origins}


class WechatForm(ChannelForm):
    """A WeChat official account; its names are those of WeChat's own pages."""

    secret_fields = ("app_secret", "token", "encoding_key")

    app_id = forms.RegexField(r"^[A-Za-z0-9]{4,100}$", label="AppID")
    app_secret = forms.CharField(max_length=200, label="AppSecret", widget=forms.PasswordInput)
    token = forms.RegexField(
        r"^[A-Za-z0-9]{3,32}$",
        label="Token",
        help_text="3 to 32 letters and digits of your own, the same here and at WeChat.",
    )
    mode = forms.ChoiceField(
        choices=lazy_choices([("plain", "Plain"), ("encrypted", "Encrypted")]),
        label="Mode of messages",
        help_text="As chosen at WeChat.",
    )
    encoding_key = forms.RegexField(
        r"^[A-Za-z0-9+/]{43}$",
        required=False,
        label="EncodingAESKey",
        help_text="43 characters, for the encrypted mode.",
        widget=forms.PasswordInput,
    )
    customer_messages = forms.BooleanField(
        required=False,
        label="The account may send customer-service messages",
        help_text="Verified accounts may. Without it, a late answer and a person's reply come with"
        " the visitor's next message.",
    )

    def _known(self) -> dict[str, Any]:
        assert self.channel is not None
        account = _account_of(self.channel)
        return super()._known() | {
            "app_id": account.get("app_id", ""),
            "mode": "encrypted" if account.get("encoding_key") else "plain",
            "customer_messages": self.channel.settings.get("customer_messages", False),
        }

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        known = _account_of(self.channel) if self.channel else {}
        key = fields.get("encoding_key") or known.get("encoding_key")
        if fields.get("mode") == "encrypted" and not key and "encoding_key" not in self.errors:
            self.add_error("encoding_key", "The encrypted mode needs this key.")
        return fields

    def changes(self) -> dict[str, Any]:
        fields = {
            name: self.cleaned_data[name]
            for name in ("app_id", "app_secret", "token", "encoding_key")
        }
        known = _account_of(self.channel) if self.channel else {}
        account_fields = self._with_kept(fields, known)
        if self.cleaned_data["mode"] == "plain":
            account_fields["encoding_key"] = ""
        account = Account(**account_fields)
        settings = {"customer_messages": self.cleaned_data["customer_messages"]}
        return super().changes() | {"secrets": account.sealed(), "settings": settings}


class MailForm(ChannelForm):
    """A mailbox. Both servers must offer TLS."""

    secret_fields = ("password",)
    daily_limit = None  # type: ignore[assignment]  # Nobody is refused an e-mail.

    address = forms.EmailField(
        max_length=254,
        label="E-mail address",
        help_text="What arrives here appears in the inbox; replies come from it.",
    )
    imap_host = forms.CharField(max_length=253, label="IMAP server")
    imap_port = forms.IntegerField(min_value=1, max_value=65535, initial=993, label="IMAP port")
    folder = forms.CharField(max_length=200, initial="INBOX", label="Folder")
    smtp_host = forms.CharField(max_length=253, label="SMTP server")
    smtp_port = forms.IntegerField(
        min_value=1, max_value=65535, initial=TLS_FROM_THE_START, label="SMTP port"
    )
    username = forms.CharField(max_length=254, label="User name")
    password = forms.CharField(
        max_length=500,
        label="Password",
        help_text="Many providers want a password made for this use only.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )

    def _known(self) -> dict[str, Any]:
        assert self.channel is not None
        known = _account_of(self.channel)
        return super()._known() | {name: known.get(name) for name in known if name != "password"}

    def changes(self) -> dict[str, Any]:
        fields = {name: value for name, value in self.cleaned_data.items() if name != "name"}
        known = _account_of(self.channel) if self.channel else {}
        account = MailAccount(**self._with_kept(fields, known))
        return {"name": self.cleaned_data["name"], "secrets": account.sealed()}


class SignatureForm(forms.Form):
    """The address that WeChat called, to see why it says “token verification failed”."""

    address = forms.CharField(
        max_length=2000,
        label="Address that WeChat called",
        help_text="From your server's log: with signature, timestamp and nonce in it.",
    )

    def parts(self) -> tuple[str, str, str]:
        """Signature, timestamp and nonce; empty where they are missing."""
        query = parse_qs(urlsplit(self.cleaned_data["address"]).query)
        signature, timestamp, nonce = (
            query.get(name, [""])[0] for name in ("signature", "timestamp", "nonce")
        )
        return signature, timestamp, nonce


FORMS: dict[str, type[ChannelForm]] = {
    Channel.Kind.WEB: WidgetForm,
    Channel.Kind.API: ChannelForm,
    Channel.Kind.WECHAT: WechatForm,
    Channel.Kind.EMAIL: MailForm,
}


def _account_of(channel: Channel) -> dict[str, Any]:
    """What is sealed in the channel; nothing where it cannot be opened any more."""
    try:
        is_wechat = channel.kind == Channel.Kind.WECHAT
        return vars(Account.of(channel) if is_wechat else MailAccount.of(channel))
    except (MailFailed, WechatRefused):
        return {}
