"""`cascade train` refuses bad folders by name and packs a finished model."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from cascade.cli.train import app
from cascade.errors import InvalidInputError
from cascade.weights import resolve


def test_a_folder_that_is_no_collection_is_named(tmp_path: Path) -> None:
    options = ["cross-encoder", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, options)
    assert isinstance(result.exception, InvalidInputError)
    assert "corpus.jsonl: cannot be read" in str(result.exception)


def test_both_tiers_can_be_trained() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "cross-encoder" in shown
    assert "listwise" in shown


def test_a_finished_cross_encoder_is_packed_small(tmp_path: Path) -> None:
    trained = resolve("embedded:cross-encoder", cache_root=tmp_path / "cache")
    result = CliRunner().invoke(app, ["pack", str(trained), "--out", str(tmp_path / "packed")])
    assert result.exit_code == 0
    assert (tmp_path / "packed" / "difference.safetensors").stat().st_size < 12_000_000
