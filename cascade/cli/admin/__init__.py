"""`cascade admin`: changes who may use a server and what it runs, while it runs."""

from __future__ import annotations

import typer

from cascade.cli.admin import folder, key, records, rollouts, tenant, versions

app = typer.Typer(
    no_args_is_help=True,
    help="Change who may use a server and what it runs, while it runs. With --local, on the store itself: that is how "
    "the first operator's key is made.",
)
cascades = typer.Typer(no_args_is_help=True, help="Versions of cascades, and which of them answer.")

app.add_typer(tenant.app, name="tenant")
app.add_typer(cascades, name="cascade")
app.add_typer(key.app, name="key")
app.command("audit")(records.audit)
app.command("usage")(records.usage)
app.command("import")(folder.import_)

cascades.command("put")(versions.put)
cascades.command("validate")(versions.validate)
cascades.command("list")(versions.list_)
cascades.command("show")(versions.show)
cascades.command("diff")(versions.diff)
cascades.command("activate")(rollouts.activate)
cascades.command("rollback")(rollouts.roll_back)
cascades.command("canary")(rollouts.canary)
cascades.command("shadow")(rollouts.shadow)
cascades.command("promote")(rollouts.promote)
cascades.command("deactivate")(rollouts.deactivate)
