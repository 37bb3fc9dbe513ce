"""`cascade info`: what a server offers."""

from __future__ import annotations

from dataclasses import asdict

from cascade.cli.connecting import Access, connect, with_access
from cascade.cli.options import DEFAULT_TARGET, AsJson, OwnTenant, Target


@with_access
def run(target: Target = DEFAULT_TARGET, tenant: OwnTenant = "", as_json: AsJson = False, *, access: Access) -> None:
    """Describe a server: its cascades, models and limits."""
    from cascade.cli import output

    with connect(target, tenant, access) as client:
        info = client.info()
    if as_json:
        output.print_json(asdict(info))
    else:
        output.print_info(info)
