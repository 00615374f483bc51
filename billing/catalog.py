"""What things of ours are called in Stripe's catalog. Names only; nothing here calls Stripe."""

from decimal import Decimal

from billing.models import Plan, Rate
from billing.pricing import PER_MILLION_UNITS

NANO_PER_CENT = 10**7
PLAN_PRODUCT = "lathe_plan_"


def meter_event_name(sku: str) -> str:
    """What usage of a SKU is reported as: "gpu-h100" → "lathe_gpu_h100_seconds"."""
    word = sku.replace("-", "_")
    return f"lathe_{word}" if sku == PER_MILLION_UNITS else f"lathe_{word}_seconds"


def plan_lookup_key(plan: Plan) -> str:
    return f"lathe_plan_{plan.code}"


def rate_lookup_key(sku: str) -> str:
    return f"lathe_rate_{sku}"


def cents_per_unit(rate: Rate) -> Decimal:
    """Exact: a nano-USD is 0.0000001 cents, and Stripe takes twelve decimals."""
    return Decimal(rate.nano_per_unit) / NANO_PER_CENT


def plan_product_id(plan: Plan) -> str:
    """Ours to choose, so that a price of any age still names its plan."""
    return f"{PLAN_PRODUCT}{plan.code}"


def plan_code_of(product_id: str) -> str:
    """The plan a product stands for; "" when it is none of our plans."""
    return product_id.removeprefix(PLAN_PRODUCT) if product_id.startswith(PLAN_PRODUCT) else ""


def rate_product_id(sku: str) -> str:
    return f"lathe_rate_{sku}"
