"""`cascade admin import`: brings a folder of cascade files into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cascade.cli.admin.session import Session, in_session


@in_session
def import_(
    folder: Annotated[Path, typer.Argument(help="Holds TENANT/NAME.yaml.", show_default=False)],
    *,
    session: Session,
) -> None:
    """Put and activate every TENANT/NAME.yaml of a folder; tenants that are not there are made, without limits.

    Nothing is written unless all files are sound by the server's rules. The same files again change nothing.
    """
    from cascade.cli import output
    from cascade.errors import ConfigError
    from cascade_server.control.imports import read_texts

    admin = session.admin
    texts = read_texts(folder)
    cascades = [(tenant, name, text) for tenant in sorted(texts) for name, text in texts[tenant].items()]
    problems = [
        f"{tenant}/{name}.yaml: {problem}"
        for tenant, name, text in cascades
        for problem in admin.validate_cascade(text, tenant=tenant).problems
    ]
    if problems:
        raise ConfigError(str(folder), problems)
    known = {tenant.name for tenant in admin.list_tenants()}
    for tenant in dict.fromkeys(tenant for tenant, _, _ in cascades):
        if tenant not in known:
            admin.create_tenant(tenant)
    shapes = []
    for tenant, name, text in cascades:
        put = admin.put_cascade(name, text, tenant=tenant)
        admin.activate(name, put.version.version, tenant=tenant)
        shapes.append({"tenant": tenant, "cascade": name, "version": put.version.version, "created": put.created})

    def people() -> None:
        table = output.table("tenant", "cascade", "active version", "is", numbers=(2,))
        for shape in shapes:
            what = "new" if shape["created"] else "as before"
            table.add_row(str(shape["tenant"]), str(shape["cascade"]), str(shape["version"]), what)
        output.print_table(table)

    session.show({"imported": shapes}, people)
