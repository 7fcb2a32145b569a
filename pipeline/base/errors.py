"""Errors that a user can act on: one line that says what is wrong, where, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake in a user's files, configs or commands.

    Commands and stages print the message alone (no traceback) and exit with code 1; `--debug`, or
    `ULMFIT_DEBUG=1` in the environment, shows the traceback as well.
    """


class Stopped(Exception):
    """Somebody asked this process to stop, and what it had done is kept; the message says how to go on.

    Commands and stages print the message alone and exit with code 1.
    """


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that helps with a misspelt name, or lists what there is.

    >>> suggest("lable", ["text", "label"])
    'did you mean "label"? (there is: label, text)'
    """
    names = sorted(set(known))
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    nearest = get_close_matches(word, names, n=1, cutoff=0.6)
    if nearest:
        return f'did you mean "{nearest[0]}"? (there is: {listed})'
    return f"there is: {listed or 'nothing'}"
