"""Commands share options, each in its place among a command's own."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from cascade.cli.command import with_options


@dataclass(frozen=True)
class Size:
    """What both commands are told."""

    width: Annotated[int, typer.Option(min=1)] = 2
    height: int = 3

    def __post_init__(self) -> None:
        """Raises BadParameter for what is out of bounds together."""
        if self.width * self.height > 100:
            raise typer.BadParameter("it is too large")


@pytest.fixture
def app() -> typer.Typer:
    """Two commands of one size."""
    made = typer.Typer()

    @made.command("area")
    @with_options("size", Size)
    def area(name: str, size: Size, times: int = 1) -> None:
        """How much there is of it."""
        typer.echo(f"{name} {size.width * size.height * times}")

    @made.command("edge")
    @with_options("size", Size)
    def edge(*, size: Size) -> None:
        typer.echo(2 * (size.width + size.height))

    return made


def test_commands_are_given_what_is_made_of_the_options_that_they_share(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, ["area", "wall", "--width", "5", "--times", "2"]).stdout == "wall 30\n"
    assert CliRunner().invoke(app, ["edge", "--height", "1"]).stdout == "6\n"


def test_shared_options_stand_where_the_parameter_stood(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["area", "--help"]).stdout
    places = [shown.index(one) for one in ("How much there is of it.", "--width", "--height", "--times")]
    assert places == sorted(places)


@pytest.mark.parametrize("typed", [["--width", "0"], ["--width", "50"]])
def test_shared_options_are_checked_one_by_one_and_together(app: typer.Typer, typed: list[str]) -> None:
    assert CliRunner().invoke(app, ["edge", *typed]).exit_code == 2
