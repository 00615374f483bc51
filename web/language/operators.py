"""The admin in the operator's language: names of models and fields, titles of columns and actions
(`model_texts` finds them), and the words of choices."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.filters import ChoicesFieldListFilter
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.sites import AdminSite
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.forms.utils import pretty_name
from django.utils.functional import Promise, lazy
from django.utils.safestring import SafeString

from web.language.model_texts import APPS, NAME, SIGN_IN_MODELS
from web.language.sentences import lazy_choices, translated, whole_message


def name(text: str) -> str:
    """What the admin calls something, in the active language."""
    return whole_message(NAME + text) or translated(text)


name_lazy = lazy(name, str)


def translate_site(site: AdminSite) -> None:
    """Let this site say its names in the language of whoever reads it."""
    for app in APPS:
        config = apps.get_app_config(app)
        config.verbose_name = name_lazy(str(config.verbose_name))
        for model in config.get_models():
            _translate_model(model)
    for app, model_name in SIGN_IN_MODELS.items():
        _translate_model(apps.get_model(app, model_name))
    site.index_title = name_lazy(str(site.index_title))
    for model, page in site._registry.items():
        if model._meta.app_label in (*APPS, *SIGN_IN_MODELS):
            _translate_page(page)
            for shown in (type(page), *page.inlines):
                _translate_choices(shown)
    admin.FieldListFilter.register(
        lambda field: bool(field.flatchoices), TranslatedChoicesFilter, take_priority=True
    )


def _translate_model(model: type[models.Model]) -> None:
    options = model._meta
    # Django makes the plural of the singular, lazily as well.
    options.verbose_name_plural = name_lazy(str(options.verbose_name_plural))
    options.verbose_name = name_lazy(str(options.verbose_name))
    for field in options.local_fields + options.local_many_to_many:
        field.verbose_name = _lazily(field.verbose_name)
        field.help_text = _lazily(field.help_text)


def _lazily(text: Any) -> Any:
    """What Django translates itself stays; so does nothing."""
    return text if isinstance(text, Promise) or not text else name_lazy(str(text))


def _translate_page(page: Any) -> None:
    page.search_help_text = _lazily(page.search_help_text)
    for attribute in dir(type(page)):
        value = getattr(type(page), attribute, None)
        title = getattr(value, "short_description", None)
        if value is not None and isinstance(title, str) and not isinstance(title, SafeString):
            value.short_description = _lazily(title)
    page.list_display = [in_words(page.model, column) for column in page.list_display]
    if page.fieldsets:
        page.fieldsets = [(_lazily(title), options) for title, options in page.fieldsets]
    for form in (page.form, page.action_form):
        for called, field in form.declared_fields.items():
            field.label = _lazily(pretty_name(called) if field.label is None else field.label)
            field.help_text = _lazily(field.help_text)


def _translate_choices(page: type[BaseModelAdmin[Any]]) -> None:
    """Of fields that may be changed: those that are only shown are in words anyhow."""
    make_field: Callable[..., Any] = page.formfield_for_choice_field

    def formfield_for_choice_field(self: Any, *args: Any, **options: Any) -> Any:
        field = make_field(self, *args, **options)
        field.choices = lazy_choices(field.choices)
        return field

    page.formfield_for_choice_field = formfield_for_choice_field  # type: ignore[method-assign]


def in_words(model: type[models.Model], column: Any) -> Any:
    """A column of choices by its name, with its choices translated; others as is."""
    try:
        field = model._meta.get_field(column) if isinstance(column, str) else None
    except FieldDoesNotExist:
        return column
    return _words_of(field) if getattr(field, "flatchoices", None) else column


@lru_cache
def _words_of(field: Any) -> Callable[[Any], str]:
    @admin.display(description=field.verbose_name, ordering=field.name)
    def words(row: Any) -> str:
        return translated(str(getattr(row, f"get_{field.name}_display")()))

    return words


class TranslatedChoicesFilter(ChoicesFieldListFilter):
    """The filter beside a list, its choices in the reader's language."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield choice | {"display": translated(choice["display"])}
