"""Which tokens make a word, and a choice of words that stays whole."""

import torch
from tokenizers import Tokenizer
from torch import Tensor

from pipeline.objectives.noise import Purpose, bits
from pipeline.text.specials import BOS, SPECIALS

LONGEST = 8  # tokens; a longer word counts as several, or unspaced text would be taken whole or not at all


def word_begins(tokenizer: Tokenizer) -> Tensor:
    """Which tokens of the vocabulary begin a word: bool (V). Those whose text begins with white space, and specials.

    Any other token continues the word before it, so a full stop belongs to its word. Languages that put no spaces
    between words have words of a whole run, up to the next space: these are cut every `LONGEST` tokens.
    """
    # Behind another token, since the decoders of WordPiece, Unigram and SentencePiece put no space before a first one.
    pairs = [[BOS, number] for number in range(tokenizer.get_vocab_size())]
    texts = tokenizer.decode_batch(pairs, skip_special_tokens=False)
    first = len(SPECIALS[BOS])
    return torch.tensor(
        [number < len(SPECIALS) or text[first : first + 1].isspace() for number, text in enumerate(texts)]
    )


def words_of(begins_BT: Tensor, longest: int = LONGEST) -> Tensor:
    """The number of the word that each token belongs to, from 0 in each row: int64 (B, T).

    begins_BT: which tokens begin a word; the first of a row always does.
    """
    at_T = torch.arange(begins_BT.size(1), device=begins_BT.device)
    since_BT = at_T - torch.where(begins_BT, at_T, 0).cummax(dim=1).values  # tokens since the word began
    return (since_BT % longest == 0).cumsum(dim=1) - 1


def choose_words(seeds_B: Tensor, words_BT: Tensor, allowed_BT: Tensor, count: int) -> Tensor:
    """True at the allowed tokens of whole random words, `count` tokens in each row or, if no word fits, a few less.

    Words are taken in a random order, but for those that have more allowed tokens than are still wanted
    (Devlin et al. 2019's code does the same).
    """
    sizes_BW = torch.zeros_like(words_BT).scatter_add_(1, words_BT, allowed_BT.long())  # W = T: no row has more words
    order_BW = bits(seeds_B, Purpose.PLACES, words_BT.size(1)).argsort(dim=1, stable=True)
    sizes_BW = sizes_BW.gather(1, order_BW)
    open_BW, taken_BW = sizes_BW > 0, torch.zeros_like(sizes_BW, dtype=torch.bool)
    left_B1 = torch.full_like(sizes_BW[:, :1], count)
    # Each round takes the longest run of open words that fits. The next one is then too long, and closed for good.
    while (open_BW := open_BW & (sizes_BW <= left_B1)).any():
        fits_BW = open_BW & ((sizes_BW * open_BW).cumsum(dim=1) <= left_B1)
        left_B1 = left_B1 - (sizes_BW * fits_BW).sum(dim=1, keepdim=True)
        taken_BW, open_BW = taken_BW | fits_BW, open_BW & ~fits_BW
    chosen_BW = torch.zeros_like(taken_BW).scatter_(1, order_BW, taken_BW)
    return chosen_BW.gather(1, words_BT) & allowed_BT
