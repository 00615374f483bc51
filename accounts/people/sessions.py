"""The browsers in which a person is signed in."""

from dataclasses import dataclass
from datetime import datetime

from allauth.usersessions.models import UserSession

from accounts.models import User

BROWSERS = {"Edg/": "Edge", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
SYSTEMS = {
    "Windows": "Windows",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


@dataclass(frozen=True)
class Session:
    id: int
    browser: str
    address: str
    created_at: datetime
    is_current: bool


def list_sessions(user: User, current_key: str | None) -> list[Session]:
    """The newest first; what has expired is forgotten on the way."""
    listed = [
        Session(
            id=one.pk,
            browser=_describe_browser(one.user_agent),
            address=one.ip,
            created_at=one.created_at,
            is_current=one.session_key == current_key,
        )
        for one in UserSession.objects.purge_and_list(user)
    ]
    return sorted(listed, key=lambda one: one.created_at, reverse=True)


def end_session(user: User, session_id: int) -> bool:
    """Sign that browser out at once; False when it is not one of theirs."""
    session = UserSession.objects.filter(user=user, pk=session_id).first()
    if session is None:
        return False
    session.end()
    return True


def _describe_browser(user_agent: str) -> str:
    browser = next((name for mark, name in BROWSERS.items() if mark in user_agent), "Browser")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    return f"{browser}, {system}" if system else browser
