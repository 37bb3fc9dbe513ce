"""Training the joint listwise head: low-rank adapters on a language model's upper layers and a small projector."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog
import torch
from torch import Tensor
from transformers import TrainingArguments

from cascade.errors import InvalidInputError, Violation
from cascade.rerank.listwise.checkpoint import JointSettings, save_network
from cascade.rerank.listwise.network import JointNetwork, Projector, load_backbone
from cascade.rerank.listwise.prompt import JointPrompt, load_prompt
from cascade.train.data import Encode, Similarity, read_collection, read_triples
from cascade.train.joint_trainer import CLOCK, Clock, JointTrainer
from cascade.train.lists import ListMix, TrainingList, build_lists
from cascade.weights import resolve_model

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JointRecipe:
    """Everything that decides what is learned, apart from the data and how long it goes on."""

    prompt: str = "joint-v1"
    passage_marker: str = "<file_sep>"
    query_marker: str = "<gh_stars>"
    layers: int = 24
    first_trained_layer: int = 10
    rank: int = 16
    alpha: int = 32
    inner_size: int = 512
    out_size: int = 256
    temperature: float = 0.05
    learning_rate: float = 6e-4
    lists_per_step: int = 4
    mix: ListMix = field(default_factory=lambda: ListMix(nearest=2.5, overlapping=3.0, random=0.25))
    lists_per_collection: int = 7000
    max_block_passages: int = 8  # no list of the mix is longer
    teacher: str = "embedded:all-minilm-l6-v2"
    teacher_max_length: int = 192
    max_query_tokens: int = 32
    max_doc_tokens: int = 96

    def settings(self, base: str) -> JointSettings:
        """What a model trained by this recipe must be run with."""
        return JointSettings(
            base=base,
            prompt=self.prompt,
            passage_marker=self.passage_marker,
            query_marker=self.query_marker,
            layers=self.layers,
            scale=self.alpha / self.rank,
            inner_size=self.inner_size,
            out_size=self.out_size,
            max_block_passages=self.max_block_passages,
        )


class Layout:
    """Turns one list into the tensors of one context."""

    def __init__(self, prompt: JointPrompt, recipe: JointRecipe) -> None:
        self._prompt = prompt
        self._recipe = recipe

    def __call__(self, lists: Sequence[TrainingList]) -> dict[str, Tensor]:
        (one,) = lists
        encode = self._prompt.control.encode
        query_ids = encode(one.query)[: self._recipe.max_query_tokens]
        passages = [encode(text)[: self._recipe.max_doc_tokens] for text in one.documents]
        block = self._prompt.block(query_ids, passages)
        return {
            "input_ids": torch.tensor(block.input_ids),
            "passage_positions": torch.tensor(block.passage_positions),
            "query_position": torch.tensor(block.query_position),
            "targets": torch.tensor(one.targets),
        }


def prepare_lists(data: Sequence[Path], vectors: Path, recipe: JointRecipe, seed: int) -> list[TrainingList]:
    """The training lists of all folders; the teacher's vectors are kept in the folder `vectors`."""
    lists: list[TrainingList] = []
    for folder in data:
        collection = read_collection(folder)
        triples = read_triples(folder, collection)
        chosen = random.Random(seed).sample(triples, min(recipe.lists_per_collection, len(triples)))
        similarity = Similarity.of(collection, _teacher(recipe), vectors)
        lists.extend(build_lists(collection, chosen, similarity, recipe.mix, seed))
    return lists


def _teacher(recipe: JointRecipe) -> Encode:
    def encode(texts: Sequence[str]) -> Any:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(resolve_model(recipe.teacher)), device="cpu")
        model.max_seq_length = recipe.teacher_max_length
        return model.encode(list(texts), normalize_embeddings=True, show_progress_bar=True)

    return encode


def build_network(base: str, recipe: JointRecipe) -> JointNetwork:
    """The base in bfloat16, frozen, with float32 adapters on every linear map of its upper layers."""
    from peft import LoraConfig, get_peft_model

    backbone = load_backbone(base, layers=recipe.layers, dtype=torch.bfloat16)
    upper = "|".join(str(i) for i in range(recipe.first_trained_layer, recipe.layers))
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules=rf"(.*\.)?layers\.({upper})\..*_proj",
        bias="none",
    )
    adapted = get_peft_model(backbone, config)
    return JointNetwork(adapted, Projector(backbone.config.hidden_size, recipe.inner_size, recipe.out_size))


@torch.no_grad()
def _standardize(network: JointNetwork, lists: Sequence[TrainingList], layout: Layout) -> None:
    sampled = []
    for one in lists:
        tensors = layout([one])
        positions = torch.cat([tensors["passage_positions"], tensors["query_position"].reshape(1)])
        sampled.append(network.hidden(tensors["input_ids"], positions))
    network.projector.standardize(torch.cat(sampled))


def train(
    *,
    data: Sequence[Path],
    out: Path,
    base: str,
    work: Path,
    minutes: float,
    vectors: Path | None = None,
    steps: int = 100_000,
    seed: int = 17,
    resume: bool = False,
    recipe: JointRecipe | None = None,
) -> Path:
    """Train for at most `minutes` (all sessions together) or `steps` and write the shipped files into `out`.

    `data` are folders with `corpus.jsonl` and `triples.train.jsonl`; checkpoints and the loss curve stay in
    `work`. With `resume` the newest checkpoint there goes on, lists already seen being passed over.
    Raises InvalidInputError when there is none, and without `resume` when there is one.
    """
    from transformers import AutoTokenizer

    recipe = recipe or JointRecipe()
    checkpoint = _newest_checkpoint(work)
    if resume != (checkpoint is not None):
        found = "holds no checkpoint to resume from" if resume else "already holds checkpoints: resume from them"
        raise InvalidInputError([Violation(str(work), f"{found}, or choose another folder")])
    torch.manual_seed(seed)
    source = resolve_model(base)
    tokenizer = AutoTokenizer.from_pretrained(source)
    prompt = JointPrompt(
        tokenizer,
        load_prompt(recipe.prompt),
        passage_marker=recipe.passage_marker,
        query_marker=recipe.query_marker,
    )
    layout = Layout(prompt, recipe)
    lists = prepare_lists(data, vectors or work / "embeddings", recipe, seed)
    network = build_network(source, recipe)
    clock = Clock(minutes * 60)
    if checkpoint is None:
        work.mkdir(parents=True, exist_ok=True)
        _standardize(network, lists[:: len(lists) // 24 + 1], layout)
    else:
        clock.spent_before = json.loads((checkpoint / CLOCK).read_text(encoding="utf-8"))["spent_s"]
    arguments = TrainingArguments(
        output_dir=str(work),
        max_steps=steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=recipe.lists_per_step,
        learning_rate=recipe.learning_rate,
        weight_decay=0.01,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        logging_steps=5,
        save_steps=25,
        save_total_limit=2,
        report_to=[],
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        seed=seed,
        dataloader_num_workers=0,
    )
    trainer = JointTrainer(
        temperature=recipe.temperature,
        clock=clock,
        model=network,
        args=arguments,
        train_dataset=lists,
        data_collator=layout,
    )
    log.info("joint_training_started", data=[folder.name for folder in data], minutes=minutes, resumed=resume)
    clock.start()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    save_network(network, recipe.settings(base), out)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n", encoding="utf-8")
    log.info("joint_trained", folder=str(out), steps=trainer.state.global_step, spent_s=round(clock.spent()))
    return out


def _newest_checkpoint(work: Path) -> Path | None:
    found = sorted(work.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    return found[-1] if found else None
