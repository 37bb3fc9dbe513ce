"""Progress is a bar for a person and few lines for a log."""

import io

from rich.console import Console

from cascade.evaluate.progress import bar


def test_a_log_gets_the_beginning_and_the_end_and_not_every_step() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with bar("indexing", console) as tell, console.capture() as captured:
        for done in (0, 1, 2, 3, 1999, 2000, 2000):
            tell(done, 2000)
    assert captured.get().splitlines() == ["indexing: 0 of 2,000", "indexing: 2,000 of 2,000"]


def test_a_terminal_gets_a_bar() -> None:
    file = io.StringIO()
    with bar("indexing", Console(file=file, force_terminal=True, width=80)) as tell:
        tell(1, 2)
        tell(2, 2)
    assert "2/2" in file.getvalue()
