"""What a team wants to read on its invoices."""

from typing import ClassVar

from django import forms

from billing.models import BillingDetails


class BillingDetailsForm(forms.ModelForm[BillingDetails]):
    class Meta:
        model = BillingDetails
        fields = ("legal_name", "address", "tax_id", "email", "reference")
        widgets: ClassVar[dict[str, forms.Widget]] = {"address": forms.Textarea({"rows": 4})}
