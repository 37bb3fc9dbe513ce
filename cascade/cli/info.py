"""`cascade info`: what a server offers."""

from __future__ import annotations

from dataclasses import asdict

from cascade.cli.options import DEFAULT_TARGET, AsJson, Target, Tenant


def run(target: Target = DEFAULT_TARGET, tenant: Tenant = "default", as_json: AsJson = False) -> None:
    """Describe a server: its cascades, models and limits."""
    from cascade.cli import output
    from cascade_client import Client

    with Client(target, tenant=tenant) as client:
        info = client.info()
    if as_json:
        output.print_json(asdict(info))
    else:
        output.print_info(info)
