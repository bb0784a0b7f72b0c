"""The file of faults as models, made from the vocabulary: each word is one, with its numbers and their ranges.

They are what a reader of a file holds it to, and what the published JSON schema is written from.
"""

from typing import Annotated, Any, Final, Literal, Union, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from dermalink_simulator.faults.spelling import SEED, schedule_of
from dermalink_simulator.faults.words import VOCABULARY, FaultKind, Parameter

FORMAT: Final = 1
FAULTS_MAX: Final = 1_000  # a file is written by a person, or by a program that shrinks a campaign
STRICT: Final = ConfigDict(extra="forbid", strict=True)


def _number(one: Parameter) -> Any:
    field = Field(
        one.default, ge=one.low, le=one.high, multiple_of=one.step if one.step > 1 else None, description=one.says
    )
    return (int, field)


def _model_of(word: FaultKind) -> type[BaseModel]:
    fields: dict[str, Any] = {
        "unit": (Literal[word.unit], Field(description="What breaks.")),
        "kind": (Literal[word.kind], Field(description="How.")),
    }
    if word.instances:
        which = f"Which {word.unit}: 1 to {word.instances}, 0 for any."
        fields["instance"] = (int, Field(0, ge=0, le=word.instances, description=which))
    for one in (*word.parameters, *schedule_of(word)):
        fields[one.name] = _number(one)
    name = f"{word.unit}_{word.kind}".title().replace("_", "")
    return cast("type[BaseModel]", create_model(name, __config__=STRICT, __doc__=f"{word.says}.", **fields))


MODELS: Final = {(word.unit, word.kind): _model_of(word) for word in VOCABULARY}


def _no_flag(value: object) -> object:
    """`true` equals 1, and is none."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted")  # noqa: TRY004 (pydantic takes no other)
    return value


class Head(BaseModel):
    """What a file begins with; its faults are looked at one by one."""

    model_config = STRICT

    faults: Annotated[Literal[1], BeforeValidator(_no_flag), Field(description="The format of this file.")]
    seed: Annotated[int, Field(ge=SEED.low, le=SEED.high, description="For every fault drawn that has none.")] = 0
    fault: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=FAULTS_MAX, description="The faults.")]


def schema() -> dict[str, Any]:
    """The JSON schema of a file of faults."""
    entry = Union[tuple(MODELS.values())]  # type: ignore[valid-type]  # noqa: UP007 (made at run time)
    whole = create_model(
        "FaultFile",
        __base__=Head,
        __doc__="Faults of a simulated pen: what breaks, how, when, and for how long.",
        fault=(list[entry], Field(min_length=1, max_length=FAULTS_MAX, description="The faults.")),  # type: ignore[valid-type]
    )
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole.model_json_schema()}
    for model in (made, *made["$defs"].values()):
        for field in model["properties"].values():
            field.pop("title", None)  # a name in capitals says nothing that the name does not
    return made
