"""The admin in Chinese: every list, every form, every page of one thing."""

import re
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib import admin
from django.urls import reverse
from django.utils.translation import override

from tests.web.language.reading import Reader

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9,en;q=0.5"}
APPS = {"accounts", "assistants", "billing", "inference", "projects", "training"}
APPS |= {"mfa", "usersessions"}  # allauth's, beside ours.
ENGLISH = re.compile(r"[A-Za-z]{3,}")
# Products, units and formats keep their names.
NAMES = re.compile(
    r"Lathe|Stripe|API|WebAuthn|TOTP|Webhook|JSON|SHA-256|Parquet|UUID|UID|URL|SKU|CPU|GPU|CUDA|UTC|USD|GiB|MiB"
    r"|token|LoRA|ONNX|IMAP|SMTP|training-job:…|deployment:…"
)


def english_left(text: str) -> bool:
    return bool(ENGLISH.search(NAMES.sub("", text)))


def our_pages():
    import_module(settings.ROOT_URLCONF)  # Pages are registered with the addresses.
    return [
        (model, page)
        for model, page in admin.site._registry.items()
        if model._meta.app_label in APPS
    ]


def names_of(model) -> dict[str, str]:
    """What the admin calls the model and its fields, by where it stands."""
    options = model._meta
    named = {"name": options.verbose_name, "plural": options.verbose_name_plural}
    named["app"] = options.app_config.verbose_name
    for field in (*options.local_fields, *options.local_many_to_many):
        named[field.name] = field.verbose_name
        named[f"help of {field.name}"] = field.help_text
    return {place: str(text) for place, text in named.items()}


def test_every_model_field_title_and_action_has_a_chinese_name():
    wrong = {}
    with override("zh-hans"):
        for model, page in our_pages():
            names = names_of(model)
            for inline in page.inlines:
                names |= {
                    f"{inline.model.__name__}.{k}": v for k, v in names_of(inline.model).items()
                }
            names["search"] = str(page.search_help_text or "")
            for name in dir(type(page)):
                title = getattr(getattr(type(page), name, None), "short_description", "")
                names[f"{name}()"] = str(title)
            left = {place: text for place, text in names.items() if english_left(text)}
            wrong |= {model._meta.label: left} if left else {}
    assert wrong == {}, "\n".join(f"{where}: {left}" for where, left in wrong.items())


def test_the_names_are_english_for_everybody_else():
    with override("en"):
        options = dict(our_pages()).popitem()[0]._meta
        assert not re.search("[一-鿿]", str(options.verbose_name))
        team = next(model for model, _ in our_pages() if model.__name__ == "TrainingJob")._meta
        assert str(team.verbose_name_plural) == "training jobs"
        assert str(team.get_field("created_at").verbose_name) == "created at"


@pytest.fixture
def operator(alice, client_of):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    return client_of(alice)


HEADING = re.compile(
    r'<(th scope="col"|th class="[\w ]*column|label|button|caption|summary|legend)\b[^>]*>(.*?)'
    r"</(?:th|label|button|caption|summary|legend)>",
    re.DOTALL,
)
# What Django's own templates, or the apps of others, leave in English.
OTHERS = {"Authenticators", "User sessions", "Social accounts"}
DJANGOS = {"Search", "Model name", "Add link", "Change or view list link"}


def headings_of(page: str) -> set[str]:
    """Column heads, labels, buttons and captions of a page, without what is Django's."""
    texts = set()
    for _, inner in HEADING.findall(page.partition('<div id="content"')[2]):
        reader = Reader()
        reader.feed(inner)
        texts |= set(reader.texts)
    return texts - DJANGOS


def test_the_home_lists_and_forms_show_no_english_titles(operator, things):
    wrong = {}
    paths = [reverse("admin:index"), "/admin/queues/", reverse("admin:training_compute")]
    for model, _ in our_pages():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        paths.append(reverse(f"{name}_changelist"))
        paths.append(reverse(f"{name}_add"))
        if (one := model._default_manager.first()) is not None:
            paths.append(reverse(f"{name}_change", args=[one.pk]))
    for path in paths:
        answer = operator.get(path, **CHINESE)
        if answer.status_code == 403 and path.endswith("/add/"):
            continue  # Rows that only the product writes.
        assert answer.status_code == 200, path
        page = answer.content.decode()
        assert 'lang="zh-hans"' in page
        left = [text for text in headings_of(page) if english_left(text) and text not in OTHERS]
        wrong |= {path: left} if left else {}
    assert wrong == {}, "\n".join(f"{where}: {left}" for where, left in wrong.items())


def test_roles_are_chosen_in_chinese(operator, team):
    page = operator.get(reverse("admin:accounts_team_change", args=[team.pk]), **CHINESE)
    [select] = re.findall(
        r'<select name="memberships-0-role".*?</select>', page.content.decode(), re.DOTALL
    )
    labels = re.findall(r">([^<]+)</option>", select)
    assert len(labels) >= 6
    assert not [label for label in labels if english_left(label)]
