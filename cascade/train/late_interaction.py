"""Trains a late interaction model: a projection of a bi-encoder's token states, and the layers just below it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from cascade.train.bi_encoder import vectors_of
from cascade.train.data import Similarity, read_collection, read_triples
from cascade.train.development import Development
from cascade.train.fitting import CHECKPOINTS, LOG, MODEL, check_folder
from cascade.train.lists import ListMix, TrainingList, build_lists
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

_log = structlog.get_logger(__name__)

_LEAST_TARGET = 1e-4  # a target of 0 has no logarithm
_PCA_TEXTS = 600  # their tokens outnumber the weights of the projection


@dataclass(frozen=True, slots=True)
class LateInteractionRecipe:
    """Everything that decides what a training run learns; the same recipe and data give the same lists.

    `trained_layers` of the base are trained beside the projection, from the top. With none, the base reads every text
    once, and further `epochs` cost little.
    """

    base: str = "embedded:all-minilm-l6-v2"
    teacher: str = "embedded:all-minilm-l6-v2"
    dimensions: int = 128
    trained_layers: int = 0
    query_length: int = 32
    document_length: int = 180
    max_length: int = 128  # of documents while training
    temperature: float = 0.5
    lists_per_batch: int = 8
    epochs: int = 1
    learning_rate: float = 3e-5
    projection_learning_rate: float = 3e-4
    warmup_share: float = 0.1
    lists: Mapping[str, int] = field(default_factory=dict)  # by collection; all of one that is not named
    steps: int | None = None
    bf16: bool = True
    seed: int = 13
    checkpoint_steps: int = 100
    mix: ListMix = field(default_factory=lambda: ListMix(nearest=3, overlapping=1, random=1, label_share=0.6))


def train_late_interaction(
    data: Sequence[Path],
    out: Path,
    recipe: LateInteractionRecipe,
    *,
    vectors: Path | None = None,
    development: Development | None = None,
    resume: bool = False,
) -> Path:
    """Trains and returns the folder of the finished model, `out`/model, which `MultiVectorEncoder(path)` loads.

    The loss is the divergence of the list's targets from the softmax of MaxSim. `out` also keeps the bi-encoder's
    vectors unless they are in `vectors`, checkpoints, the recipe, `log.jsonl` with one line for each logged step, and
    `curve.png` drawn of it. With `resume` training goes on from the last checkpoint there.
    """
    from sentence_transformers import MultiVectorEncoderTrainer, MultiVectorEncoderTrainingArguments
    from sentence_transformers.multi_vector_encoder.losses import MultiVectorDistillKLDivLoss
    from transformers import set_seed

    from cascade.train.order import in_given_order
    from cascade.train.progress import MultiVectorEvaluator, StepLog

    check_folder(out, resume=resume)
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n", encoding="utf-8")

    lists = by_length(prepare_lists(data, vectors or out / "embeddings", recipe), recipe)
    set_seed(recipe.seed)
    model = untrained_late_interaction(recipe, lists, out / "states")
    arguments = MultiVectorEncoderTrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.steps or -1,
        per_device_train_batch_size=recipe.lists_per_batch,
        learning_rate=recipe.learning_rate,
        learning_rate_mapping={r"linear\.weight$": recipe.projection_learning_rate},
        warmup_steps=recipe.warmup_share,
        lr_scheduler_type="linear",
        max_length={"query": recipe.query_length, "document": recipe.max_length},
        bf16=recipe.bf16,
        eval_strategy="no" if development is None else "steps",
        eval_steps=None if development is None else development.every_steps,
        save_strategy="steps",
        save_steps=recipe.checkpoint_steps,
        save_total_limit=3,
        logging_steps=10,
        use_cpu=True,
        dataloader_pin_memory=False,
        batch_sampler=in_given_order,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to="none",
    )
    trainer = MultiVectorEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=_dataset(lists),
        # One column of documents at a time, padded to its own longest.
        loss=MultiVectorDistillKLDivLoss(
            model,
            student_temperature=recipe.temperature,
            teacher_temperature=1.0,
            mini_batch_size=recipe.lists_per_batch,
        ),
        evaluator=None if development is None else MultiVectorEvaluator(development.load(), bf16=recipe.bf16),
        callbacks=[StepLog(out / LOG)],
    )
    trainer.train(resume_from_checkpoint=resume)
    _plain(model, recipe).save_pretrained(str(out / MODEL), create_model_card=False)
    _log.info("late_interaction_trained", folder=str(out / MODEL), steps=trainer.state.global_step)
    return out / MODEL


def prepare_lists(data: Sequence[Path], vectors: Path, recipe: LateInteractionRecipe) -> list[TrainingList]:
    """The lists of all folders, shuffled, with the bi-encoder's vectors kept in `vectors`."""
    lists: list[TrainingList] = []
    draw = random.Random(recipe.seed)
    for folder in data:
        collection = read_collection(folder)
        triples = read_triples(folder, collection)
        chosen = draw.sample(triples, min(recipe.lists.get(collection.name, len(triples)), len(triples)))
        similarity = Similarity.of(collection, vectors_of(recipe.teacher), vectors)
        lists.extend(build_lists(collection, chosen, similarity, recipe.mix, recipe.seed))
        _log.info("training_lists_ready", collection=collection.name, lists=len(chosen), triples=len(triples))
    draw.shuffle(lists)
    return lists


def by_length(lists: Sequence[TrainingList], recipe: LateInteractionRecipe) -> list[TrainingList]:
    """The lists of the commonest number of documents, in batches of like length, the batches in random order.

    The documents of a list stand by length too: a column of a batch, which is padded to its longest, then holds like
    lengths. On a CPU time follows tokens, padding included.
    """
    counts = [len(one.documents) for one in lists]
    usual = max(set(counts), key=counts.count)
    sized = sorted(
        (_documents_by_length(one) for one in lists if len(one.documents) == usual),
        key=lambda one: sum(min(len(text), 6 * recipe.max_length) for text in one.documents),
    )
    batches = [sized[i : i + recipe.lists_per_batch] for i in range(0, len(sized), recipe.lists_per_batch)]
    random.Random(recipe.seed).shuffle(batches)
    return [one for batch in batches for one in batch]


def untrained_late_interaction(
    recipe: LateInteractionRecipe, lists: Sequence[TrainingList], states: Path
) -> MultiVectorEncoder:
    """The base's token states through the projection that keeps most of them for `lists`; it ranks well untrained.

    Dropout is off: a run sees most lists once, and drawing the masks costs a CPU a fifth of its time. What a frozen
    base reads is kept in the folder `states`.
    """
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    transformer, normalized = _transformer(recipe, states), Normalize(module_input_name="token_embeddings")
    layers = transformer.model.encoder.layer
    transformer.model.requires_grad_(False)
    for layer in layers[len(layers) - recipe.trained_layers :]:
        layer.requires_grad_(True)
    reader = MultiVectorEncoder(modules=[transformer, MultiVectorMask(), normalized], device="cpu")
    texts = sorted({text for one in lists for text in one.documents})
    sample = random.Random(recipe.seed).sample(texts, min(_PCA_TEXTS, len(texts)))
    cut: dict[str, Any] = {"processing_kwargs": {"text": {"max_length": recipe.max_length}}, "show_progress_bar": True}
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
        if not recipe.trained_layers:  # all at once, sorted by length, is faster than batch by batch
            reader.encode_query(sorted({one.query for one in lists}), show_progress_bar=True)
            reader.encode_document(texts, **cut)
            transformer.memory.save()
        tokens = torch.cat(reader.encode_document(sample, **cut)).double()
    _, directions = torch.linalg.eigh(tokens.T @ tokens)
    weight = directions[:, -recipe.dimensions :].T.float().contiguous()
    dense = Dense(
        weight.shape[1],
        weight.shape[0],
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=weight,
        module_input_name="token_embeddings",
    )
    return MultiVectorEncoder(modules=[transformer, dense, MultiVectorMask(), normalized], device="cpu")


def _transformer(recipe: LateInteractionRecipe, states: Path | None) -> Any:
    """The base; one that is not trained remembers in `states` what it read, if there is such a folder."""
    from sentence_transformers.base.modules import Transformer

    from cascade.train.token_states import FrozenTransformer, TokenStates

    frozen = states is not None and not recipe.trained_layers
    made = (FrozenTransformer if frozen else Transformer)(
        resolve_model(recipe.base),
        query_length=recipe.query_length,
        document_length=recipe.document_length,
        config_kwargs={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    )
    if states is not None and isinstance(made, FrozenTransformer):
        made.memory = TokenStates(states)
    return made


def _plain(model: MultiVectorEncoder, recipe: LateInteractionRecipe) -> MultiVectorEncoder:
    """The trained model without what only training needs."""
    from sentence_transformers import MultiVectorEncoder

    if recipe.trained_layers:
        return model
    return MultiVectorEncoder(modules=[_transformer(recipe, None), *list(model)[1:]], device="cpu")


def _documents_by_length(one: TrainingList) -> TrainingList:
    pairs = sorted(zip(one.documents, one.targets, strict=True), key=lambda pair: len(pair[0]))
    return TrainingList(one.query, tuple(text for text, _ in pairs), tuple(target for _, target in pairs))


def _dataset(lists: Sequence[TrainingList]) -> Any:
    """The columns that sentence-transformers' distillation reads; its scores are logarithms of the targets."""
    import numpy as np
    from datasets import Dataset

    columns: dict[str, list[Any]] = {"query": [one.query for one in lists]}
    for place in range(len(lists[0].documents)):
        columns[f"document_{place + 1}"] = [one.documents[place] for one in lists]
    columns["label"] = [np.log(np.maximum(one.targets, _LEAST_TARGET)).tolist() for one in lists]
    return Dataset.from_dict(columns)
