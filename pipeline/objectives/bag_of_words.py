"""Bag-of-words prediction: what a document is about, asked beside which token comes next.

The mean hidden state of a document's first part must name the words of the rest, in any order. A causal network's
states know nothing of what comes later, so this needs no pass of its own; it teaches the pooled state, which
classifiers read, what latent semantic analysis knows of a text. Like the distributed bag of words of Le & Mikolov
2014 (section 2.3), with a text's first part in the place of a vector of its own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.models.build import Network
from pipeline.objectives.noise import Purpose, fractions
from pipeline.text.specials import BOS, SPECIALS

FREQUENT = 1e-3  # share of the corpus above which a token counts less, as the root of this over its share
SHORTEST = 16  # tokens of a document, or of what a window holds of it, that can be cut in two
CUTS = (0.25, 0.75)  # between these shares of it the first part ends
ROWS = 16  # that are looked at together, each document of theirs with a score for every token


class BagOfWords:
    """Asks the mean state of each document's first part for the words of the rest."""

    def __init__(self, counts_V: Tensor) -> None:
        """`counts_V`: how often each token occurs in the corpus."""
        share_V = (counts_V + 1) / (counts_V + 1).sum()
        worth_V = (FREQUENT / share_V).sqrt().clamp(max=1)
        worth_V[: len(SPECIALS)] = 0
        self.worth_V = worth_V.float()
        # What is known without reading anything; scores say how a document differs from that.
        self.prior_V = (share_V * worth_V + 1e-9).log().float()

    def loss_sum(self, network: Network, hidden_BTD: Tensor, tokens_BT: Tensor, seeds_B: Tensor) -> Tensor:
        """Cross entropy between the words of the rest and what the first part expects, in nats.

        Each document counts as often as it has tokens, so that a sum over this divided by the tokens is a mean.

        Args:
            network: whose output matrix scores the words.
            hidden_BTD: its states over `tokens_BT`; states of B rows of T tokens, documents begin with BOS.
            seeds_B: decide where each document is cut.
        """
        parts = (part.split(ROWS) for part in (hidden_BTD, tokens_BT, seeds_B))
        return torch.stack([self._of_rows(network, *some) for some in zip(*parts, strict=True)]).sum()

    def _of_rows(self, network: Network, hidden_BTD: Tensor, tokens_BT: Tensor, seeds_B: Tensor) -> Tensor:
        owner_N, place_N, cut_S, length_S = _documents(tokens_BT, seeds_B)
        first_N = place_N < cut_S[owner_N]
        documents_S = torch.arange(len(cut_S), device=owner_N.device)
        first_SN = ((owner_N == documents_S[:, None]) & first_N).to(hidden_BTD.dtype)
        mean_SD = (first_SN @ hidden_BTD.flatten(0, 1)) / cut_S[:, None]
        read_SE = network.readout(F.layer_norm(mean_SD, mean_SD.shape[-1:]))
        prior_V, worth_V = self.prior_V.to(read_SE.device), self.worth_V.to(read_SE.device)
        expected_SV = F.log_softmax(F.linear(read_SE, network.output_matrix()).float() + prior_V, dim=1)
        words_SV = torch.zeros_like(expected_SV)
        words_SV[owner_N[~first_N], tokens_BT.flatten()[~first_N]] = 1.0
        words_SV = words_SV * worth_V
        total_S = words_SV.sum(dim=1)
        counts_S = torch.where((length_S >= SHORTEST) & (total_S > 0), length_S / total_S.clamp(min=1e-9), 0.0)
        return -((words_SV * expected_SV).sum(dim=1) * counts_S).sum()


def _documents(tokens_BT: Tensor, seeds_B: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The S documents, or parts of documents, in B rows of T tokens, N = B T.

    Returns:
        Which one each token belongs to (N) and its place there (N); where each is cut, one token at least, and its
        length (S).
    """
    begins_BT = tokens_BT == BOS
    begins_BT[:, 0] = True
    begins_N = begins_BT.flatten()
    owner_N = begins_N.cumsum(0) - 1
    start_S = begins_N.nonzero().flatten()
    end = torch.tensor([len(begins_N)], device=start_S.device)
    length_S = torch.cat([start_S[1:], end]) - start_S
    place_N = torch.arange(len(begins_N), device=owner_N.device) - start_S[owner_N]
    # A document's noise is its row's, by its number there.
    fraction_BT = fractions(seeds_B, Purpose.CUTS, tokens_BT.size(1))
    number_BT = begins_BT.cumsum(1) - 1
    fraction_S = fraction_BT.gather(1, number_BT).flatten()[start_S]
    least, most = CUTS
    cut_S = (length_S * (least + (most - least) * fraction_S)).long().clamp(min=1)
    return owner_N, place_N, cut_S, length_S
