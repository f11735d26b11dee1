"""The recipe file as pydantic models: stages in order, each with its data and its first weights.

Here stand the shapes alone. Whether names lead somewhere and whether files exist is
`potstill.spec.loading`'s work. Defaults are those of DeepSeek-R1 as far as they are published
(DeepSeek-AI 2025, "DeepSeek-R1", arXiv:2501.12948v2, sections 2 and 3 and appendix B).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field, model_validator

from potstill.spec.base import Fraction, Names, Spec
from potstill.spec.task import NAME_PATTERN, Gate
from potstill.spec.teacher import TeacherSpec

StageName = Annotated[str, Field(pattern=NAME_PATTERN)]
BASE = "base"
"""The name by which a stage calls the recipe's base model."""
RESERVED = (BASE, "read", "report", "sources")
"""Names that no stage and no source may have: those of a run's own steps and folders."""

Verifier = Literal[
    "mathematics", "numeric", "exact", "choice", "labels", "json_schema", "tests", "reasoning_gym"
]
Operation = Literal["addition", "subtraction", "multiplication", "chain"]


class ScratchSpec(Spec):
    """A model that is made here, with random weights: for rehearsals and tests."""

    hidden: int = Field(default=96, ge=8, le=4096)
    """Width of the states."""
    layers: int = Field(default=3, ge=1, le=64)
    """Layers of a Llama."""
    heads: int = Field(default=4, ge=1, le=64)
    """Attention heads."""
    positions: int = Field(default=256, ge=16, le=65536)
    """Tokens that it can read and write together."""


class MadeSpec(Spec):
    """Questions that are made here by rule, each with its answer."""

    operation: Operation = "addition"
    """What is asked; `chain` is several additions and subtractions in a row."""
    digits: int = Field(default=2, ge=1, le=9)
    """Digits of the largest operand."""
    rows: int = Field(default=1000, ge=1, le=10_000_000)
    """Questions; no two are alike."""
    worked: bool = False
    """Whether each comes with a thought that leads to the answer."""
    seed: int = 0
    """Of the draw. Questions of one file never stand in another one of it."""


class SourceSpec(Spec):
    """One set of rows: a file, a hub data set, or questions that are made here."""

    file: str | None = None
    """JSON lines or Parquet."""
    hub: str | None = None
    """A hub data set, `owner/name`, where the hub can be reached."""
    made: MadeSpec | None = None
    """Questions by rule."""
    gym: str | None = None
    """A family of reasoning-gym, which brings its own verifier; 1,000 rows unless `rows` says otherwise. Sources of one family share no row."""
    rows: int | None = Field(default=None, ge=1)
    """At most so many of them."""
    prompt: str = "prompt"
    """Column of the question."""
    answer: str = "answer"
    """Column of the right answer; rows without one can only be judged."""
    thought: str = "thought"
    """Column of a thought, where there is one."""
    terms: str | None = None
    """Licence or terms of use, for the lineage."""
    person: bool = False
    """Whether a person wrote thought and answer."""

    @model_validator(mode="after")
    def _one_place(self) -> SourceSpec:
        given = [name for name in ("file", "hub", "made", "gym") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(map(repr, given)) or "none of them"
            raise ValueError(f"a source is one of 'file', 'hub', 'made', 'gym'; found {found}")
        return self


class TemplateSpec(Spec):
    """How a completion is written: a thought between two marks, then the answer."""

    opening: str = "<think>"
    """Begins the thought. Ordinary text to the tokenizer, never a special token: those are taken out before a reward reads the completion."""
    closing: str = "</think>"
    """Ends it."""
    language: str = "en"
    """ISO 639-1 code of the language of thoughts."""
    system: str = ""
    """System turn before every question; empty for none."""


class SamplingSpec(Spec):
    """How completions are drawn."""

    samples: int = Field(default=8, ge=1, le=1024)
    """Completions a question."""
    temperature: float = Field(default=1.0, ge=0.0, le=4.0)
    """0 is greedy."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Nucleus."""
    max_new_tokens: int = Field(default=32_768, ge=1)
    """What is longer is cut, and counted as cut."""


class JudgementSpec(SamplingSpec):
    """How every stage is judged: the paper samples, because greedy decoding repeats itself."""

    data: str = "test"
    """Name of a source; its rows are kept out of every training."""
    samples: int = Field(default=8, ge=1, le=1024)
    """Completions a question: accuracy at one sample is their mean."""
    temperature: float = Field(default=0.6, ge=0.0, le=4.0)
    """As in the paper."""
    top_p: float = Field(default=0.95, gt=0.0, le=1.0)
    """As in the paper."""
    rows: int | None = Field(default=None, ge=1)
    """At most so many questions."""
    verifier: Verifier = "mathematics"
    """Says whether an answer is right."""


class RewardSpec(Spec):
    """What a completion is worth: named parts, each with a weight, added up and logged apart."""

    verifier: Verifier = "mathematics"
    """Says whether an answer is right."""
    accuracy: float = 1.0
    """Weight of a right answer."""
    format: float = 1.0
    """Weight of exactly one closed thought with an answer behind it."""
    language: float = 1.0
    """Weight of the share of the thought that is in the template's language."""
    length: float = 0.0
    """Weight of brevity: one minus the share of `max_new_tokens` that was used, for right answers alone."""
    timeout_s: float = Field(default=5.0, gt=0.0)
    """Seconds that a verifier may take for one answer."""


class StageSpec(Spec):
    """What all stages share."""

    name: StageName
    """By which later stages call it."""
    accept: dict[Literal["accuracy", "format", "language", "agreement"], Gate] = {}
    """Gates on its judgement."""
    max_drop: Fraction | None = None
    """Its accuracy may be below that of its first weights, or of a student's teacher, by so much; a stage that loses more is refused, and later stages go on from those."""


class LearningSpec(StageSpec):
    """What all stages share that change weights."""

    weights: str = BASE
    """First weights: `base`, or the name of an earlier stage."""
    epochs: float = Field(default=2.0, gt=0.0)
    """Passes over the rows."""
    learning_rate: float = Field(default=5e-5, gt=0.0, lt=1.0)
    """Peak rate."""
    batch_size: int = Field(default=128, ge=1)
    """Rows an optimiser step, over all devices."""
    device_batch_size: int = Field(default=8, ge=1)
    """Rows on a device at a time; gradients are accumulated up to `batch_size`."""
    max_tokens: int = Field(default=32_768, ge=16)
    """Tokens of a row; a longer one is left out and counted, never cut."""
    save_steps: int = Field(default=100, ge=1)
    """Optimiser steps between two checkpoints: what a kill can cost at most."""


class ColdStartStage(StageSpec):
    """A person's examples and a model's drafts, corrected, in the recipe's template."""

    stage: Literal["cold_start"] = "cold_start"
    data: Names
    """Sources of questions with thought and answer; those of a person go before a model's."""
    drafts: TeacherSpec | None = None
    """Who drafts thoughts for questions that have none; a person corrects them in the file."""
    corrected: str | None = None
    """File of the corrected drafts; until it is there, the run stops with the drafts written."""


class SftStage(LearningSpec):
    """Supervised fine-tuning: the loss counts the completion alone."""

    stage: Literal["sft"] = "sft"
    data: Names
    """Stages whose rows are learnt, or sources with thoughts."""
    final_rate: Fraction = 0.1
    """The cosine ends at this share of the peak rate."""
    packing: bool = False
    """Whether short rows share a sequence."""


class GrpoStage(LearningSpec):
    """Group relative policy optimisation (Shao et al. 2024, "DeepSeekMath", 4.1)."""

    stage: Literal["grpo"] = "grpo"
    data: Names
    """Sources of questions that a verifier can judge."""
    epochs: float = Field(default=1.0, gt=0.0)
    """Passes over the questions; `steps` goes before it."""
    learning_rate: float = Field(default=3e-6, gt=0.0, lt=1.0)
    """Peak rate."""
    final_rate: Fraction = 1.0
    """The cosine ends at this share of the peak rate; 1 keeps the rate constant, as in the paper."""
    steps: int | None = Field(default=None, ge=1)
    """Optimiser steps."""
    questions: int = Field(default=32, ge=1)
    """Questions a step."""
    group: int = Field(default=16, ge=2)
    """Completions a question."""
    temperature: float = Field(default=1.0, gt=0.0)
    """Of the completions."""
    max_new_tokens: int = Field(default=32_768, ge=1)
    """Of a completion."""
    clip: float = Field(default=10.0, gt=0.0)
    """Bound of the probability ratio, as printed in the paper."""
    kl: float = Field(default=0.001, ge=0.0)
    """Weight of the divergence from the reference; 0 needs no reference in memory."""
    reference_steps: int = Field(default=400, ge=1)
    """Steps after which the reference is replaced by the weights of that step."""
    rewards: RewardSpec = RewardSpec()
    """What a completion is worth."""
    pass_rate: tuple[Fraction, Fraction] = (0.0, 1.0)
    """Questions are kept whose share of right answers, by `probe` samples of the first weights, lies strictly between: groups of equal rewards teach nothing."""
    probe: int = Field(default=0, ge=0)
    """Samples a question for `pass_rate`; 0 keeps all questions."""
    watch_rows: int = Field(default=64, ge=0)
    """Questions of this stage that are kept out of its training and asked now and then: reward that rises while they are answered worse is reward hacking. A tenth of the questions at most; 0, or fewer than ten, asks none."""
    watch_steps: int = Field(default=25, ge=0)
    """Steps between two times that they are asked; 0 asks none."""
    on_alarm: Literal["warn", "stop"] = "warn"
    """What is done where rewards stop making sense: `warn` says so and goes on; `stop` ends the training, and where the reward was hacked with the weights that answered the kept questions best."""
    rollouts: Literal["auto", "vllm", "transformers"] = "auto"
    """What writes the completions; `auto` takes vLLM where there is a GPU and the package."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of low-rank adapters; 0 trains all weights."""


class RejectStage(StageSpec, SamplingSpec):
    """Rejection sampling: many answers, of which the right and healthy ones stay."""

    stage: Literal["reject"] = "reject"
    weights: str = BASE
    """Who answers: `base`, or the name of an earlier stage."""
    data: Names
    """Sources of questions."""
    verifier: Verifier = "mathematics"
    """Judges answers to questions whose answer is known."""
    judge: TeacherSpec | None = None
    """Judges the others; without it they are left out and counted."""
    filters: list[Literal["language", "paragraphs", "code", "trace_health"]] = [
        "language",
        "paragraphs",
        "code",
        "trace_health",
    ]
    """What a thought must pass. Each can be left out: whether a filter helps is a question to be measured."""
    keep: int = Field(default=1, ge=1)
    """Answers that stay of a question: right ones, the brief before the long, unlike before like."""


class MixStage(StageSpec):
    """Reasoning rows and others, deduplicated, decontaminated, in mixed order."""

    stage: Literal["mix"] = "mix"
    reasoning: Names
    """Stages or sources with thoughts."""
    other: list[str] = []
    """Stages or sources without."""
    ratio: float = Field(default=3.0, gt=0.0)
    """Reasoning rows for each other one; what is too many of either is left out. Without other rows all stay."""
    similarity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Jaccard similarity from which two rows are one."""
    ngram: int = Field(default=10, ge=1)
    """Words in a row that a training row and an evaluation row may not share."""


class PreferStage(LearningSpec):
    """Preference tuning by DPO (Rafailov et al. 2023), where no reward model exists."""

    stage: Literal["prefer"] = "prefer"
    data: Names
    """Stages of rejection sampling, whose right and wrong answers make pairs, or files of pairs."""
    judge: TeacherSpec | None = None
    """Ranks pairs of answers that no verifier can tell apart, in both orders."""
    epochs: float = Field(default=1.0, gt=0.0)
    """Passes over the pairs."""
    learning_rate: float = Field(default=5e-7, gt=0.0, lt=1.0)
    """Peak rate."""
    beta: float = Field(default=0.1, gt=0.0)
    """How closely the reference is kept to."""


class DistilStage(LearningSpec):
    """A smaller model learns the recipe's rows by fine-tuning alone."""

    stage: Literal["distil"] = "distil"
    weights: str = BASE
    """Its teacher, beside which it is judged: `base`, or the name of an earlier stage. Where it says `base` and is not on-policy, the teacher is the stage whose answers are learnt."""
    student: str | ScratchSpec
    """What learns: an earlier stage's weights by its name, a model's name, a folder, a hub id, or one that is made here."""
    data: Names
    """Stages whose rows are learnt."""
    final_rate: Fraction = 0.1
    """The cosine ends at this share of the peak rate."""
    on_policy: bool = False
    """Whether the student writes and `weights` score its tokens (Agarwal et al. 2024, "On-Policy Distillation of Language Models"); both need the same tokenizer."""


Stage = Annotated[
    ColdStartStage | SftStage | GrpoStage | RejectStage | MixStage | PreferStage | DistilStage,
    Field(discriminator="stage"),
]


class Recipe(Spec):
    """An order of stages that makes a model that reasons."""

    kind: Literal["recipe"]
    """Always `recipe`."""
    version: Literal[1]
    """Always 1."""
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """Name of its runs."""
    description: str = ""
    """What it is for."""
    base: str | ScratchSpec
    """The model that learns: `smollm2-135m`, a folder, a hub id, or one that is made here."""
    template: TemplateSpec = TemplateSpec()
    """How completions are written."""
    data: dict[StageName, SourceSpec]
    """Sources by name."""
    judge: JudgementSpec = JudgementSpec()
    """How every stage is judged."""
    stages: list[Stage] = Field(min_length=1)
    """In the order in which they run."""
    seed: int = 7
    """Of everything that is drawn."""

    @property
    def with_weights(self) -> frozenset[str]:
        """The base and all stages that leave weights, by their names."""
        learning = (stage.name for stage in self.stages if isinstance(stage, LearningSpec))
        return frozenset({BASE, *learning})

    @model_validator(mode="after")
    def _names(self) -> Recipe:
        fault = next(_faults(self), None)
        if fault is not None:
            raise ValueError(fault)
        return self


def _faults(recipe: Recipe) -> Iterator[str]:
    """Names that are taken, that lead nowhere, or that lead to what does not serve there."""
    sources, rows, weights = list(recipe.data), list[str](), [BASE]
    yield from (f"'data': the name {name!r} is taken" for name in RESERVED if name in sources)
    if recipe.judge.data not in sources:
        yield _unknown("judge", "data", recipe.judge.data, sources)
    for at, stage in enumerate(recipe.stages):
        name = stage.name
        later = [one.name for one in recipe.stages[at:]]
        if name in (*RESERVED, *sources, *rows, *weights):
            yield f"stage {at + 1}: the name {name!r} is taken"
        learns = isinstance(stage, LearningSpec)
        if not learns and (stage.accept or stage.max_drop is not None):
            yield f"{name}: it leaves no weights, so that 'accept' and 'max_drop' bound nothing"
        start = getattr(stage, "weights", BASE)
        if start not in weights:
            yield _unknown(name, "weights", start, weights, later)
        for key in ("data", "reasoning", "other"):
            for read in getattr(stage, key, ()):
                if read == recipe.judge.data:
                    yield (
                        f"{name}: {key!r} names {read!r}, by which every stage is judged: nothing "
                        "may learn from it"
                    )
                if read in weights:
                    yield f"{name}: {key!r} names {read!r}, which leaves weights and no rows"
                if read not in (*sources, *rows):
                    yield _unknown(name, key, read, [*sources, *rows], later)
        (weights if learns else rows).append(name)
    yield from _faults_of_students(recipe)


def _faults_of_students(recipe: Recipe) -> Iterator[str]:
    """Students that begin nowhere, or whose tokens cannot be those of the teacher they follow."""
    made = {BASE: isinstance(recipe.base, ScratchSpec)}
    for stage in recipe.stages:
        if isinstance(stage, DistilStage):
            start = stage.student
            if isinstance(start, str) and start in recipe.with_weights and start not in made:
                yield f"{stage.name}: 'student' names {start!r}, which is no earlier stage"
            here = isinstance(start, ScratchSpec) or made.get(start, False)
            if stage.on_policy and here != made.get(stage.weights, here):
                yield (
                    f"{stage.name}: 'on_policy' needs a student with the tokens of its teacher "
                    f"{stage.weights!r}; one of them is made here, and the other is not"
                )
            made[stage.name] = here
        elif isinstance(stage, LearningSpec):
            made[stage.name] = made.get(stage.weights, False)


def _unknown(
    stage: str, key: str, name: str, known: Sequence[str], later: Sequence[str] = ()
) -> str:
    """A name that leads nowhere yet; a stage that would wait for itself is called a cycle."""
    if name == stage:
        return f"{stage}: {key!r} names the stage itself, a cycle; known here: {', '.join(known)}"
    if name in later:
        return (
            f"{stage}: {key!r} names {name!r}, which comes later: a cycle, or the wrong order; "
            f"known here: {', '.join(known)}"
        )
    near = get_close_matches(name, known, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"{stage}: {key!r} names {name!r}, which is no earlier stage and no source; {remedy}"
