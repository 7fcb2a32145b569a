"""The families of models that come in and go out."""

from pipeline.base.errors import UserError, suggest
from pipeline.interop.huggingface.bert import BERT, ROBERTA
from pipeline.interop.huggingface.config import Config
from pipeline.interop.huggingface.family import Family
from pipeline.interop.huggingface.gpt2 import GPT2
from pipeline.interop.huggingface.llama import LLAMA
from pipeline.interop.huggingface.t5 import T5

FAMILIES = {family.name: family for family in (GPT2, BERT, ROBERTA, T5, LLAMA)}


def family_of(config: Config) -> Family:
    """The family that a config.json names."""
    name = str(config.values["model_type"])
    if name not in FAMILIES:
        raise UserError(f"{config.path}: `model_type: {name}` is not known here; {suggest(name, FAMILIES)}")
    return FAMILIES[name]
