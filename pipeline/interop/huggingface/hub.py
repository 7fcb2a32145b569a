"""Where the files of a `transformers` model are: in data/pretrained, or fetched from the Hugging Face hub."""

from pathlib import Path

from pipeline.base.errors import UserError

PRETRAINED = Path("data/pretrained")
# Weights, shape and tokenizer: nothing that could be run.
WEIGHTS = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")
TOKENIZER = ("config.json", "tokenizer.json")


def model_folder(pretrained: str, hub: str | None, revision: str | None, *, weights: bool = True) -> Path:
    """The folder data/pretrained/`pretrained`, or that of the `hub` model's files on this machine, fetched if need be.

    `weights` false: its config and tokenizer are enough.
    """
    if hub is None:
        return PRETRAINED / pretrained
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    patterns = [*TOKENIZER, *(WEIGHTS if weights else ())]
    try:
        return Path(huggingface_hub.snapshot_download(hub, revision=revision, allow_patterns=patterns))
    except GatedRepoError as error:
        raise UserError(f"hub model {hub}: its owners let in only who has asked; {_by_hand(hub)}") from error
    except RevisionNotFoundError as error:
        raise UserError(f"hub model {hub}: has no `revision: {revision}`; take a commit of its page") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"hub model {hub}: there is no such model on the hub; see `hub:` of the pretrain config"
        ) from error
    except Exception as error:  # whatever the network and its libraries may say
        raise UserError(f"hub model {hub}: cannot be fetched ({type(error).__name__}); {_by_hand(hub)}") from error


def _by_hand(hub: str) -> str:
    folder = PRETRAINED / hub.rpartition("/")[2]
    return (
        f"fetch its config.json, tokenizer.json and model.safetensors by hand into {folder}, drop `hub:`, and write "
        f"`pretrained: {folder.name}` in configs/config.yaml"
    )
