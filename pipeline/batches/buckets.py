"""Batches of a classifier: documents of like length together, in an order computed from seed and step."""

import numpy as np

from pipeline.batches.seeds import hash_numbers

POOL_BATCHES = 100  # 3 to 4 % of padding on film reviews of up to 4,096 tokens; 50 left 6 %


class BucketPlan:
    """Which documents each step reads.

    Every epoch shuffles the documents, sorts them by length within pools of 100 batches, cuts the pools into batches
    and shuffles the batches: little padding, and nearly random company. Each document comes once per epoch. Batches
    are of equal size but for one document, so that none is a small remainder with a noisy gradient.
    """

    def __init__(self, lengths: np.ndarray, batch_documents: int, epochs: float, seed: int) -> None:
        """lengths: tokens of each document, (N,). `batch_documents` a step at most, over all devices."""
        self.lengths, self.seed = lengths, seed
        self.batches_per_epoch = -(-len(lengths) // batch_documents)
        self.steps = max(1, round(epochs * self.batches_per_epoch))
        batches = np.arange(self.batches_per_epoch + 1, dtype=np.int64)
        self._edges = batches * len(lengths) // self.batches_per_epoch
        self._latest: tuple[int, np.ndarray, np.ndarray] | None = None

    def documents_of(self, step: int) -> np.ndarray:
        """Numbers of the documents of one step's global batch: int64 (B,)."""
        epoch, position = divmod(step, self.batches_per_epoch)
        documents, batches = self._epoch(epoch)
        batch = batches[position]
        return documents[self._edges[batch] : self._edges[batch + 1]]

    def share(self, step: int, rank: int, world: int) -> np.ndarray:
        """One rank's part of a step, longest first: int64, numbers of documents.

        Dealt out in the order of length to and fro (1 2 3, 3 2 1, ...), so that ranks have equal counts but for one,
        and nearly equal tokens. Empty where there are more ranks than documents.
        """
        documents = self.documents_of(step)
        longest_first = documents[np.argsort(-self.lengths[documents], kind="stable")]
        turn = np.arange(len(documents))
        forth, place = turn // world % 2 == 0, turn % world
        return longest_first[np.where(forth, place, world - 1 - place) == rank]

    @property
    def documents(self) -> int:
        """Documents read in all steps, repeats counted."""
        epochs, rest = divmod(self.steps, self.batches_per_epoch)
        sizes = np.diff(self._edges)[self._epoch(epochs)[1][:rest]]
        return epochs * len(self.lengths) + int(sizes.sum())

    def padding_share(self) -> float:
        """Share of the first epoch's tokens that are padding, when each batch is as wide as its longest document."""
        lengths = self.lengths[self._epoch(0)[0]]
        widths = np.maximum.reduceat(lengths, self._edges[:-1]) * np.diff(self._edges)
        return 1.0 - float(lengths.sum() / widths.sum())

    def _epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Documents (N,) in batches one after the other, and the order in which the batches are read."""
        if self._latest is None or self._latest[0] != epoch:
            self._latest = (epoch, *self._order_of(epoch))
        return self._latest[1:]

    def _order_of(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.Generator(np.random.PCG64(hash_numbers(self.seed, epoch)))
        documents = random.permutation(len(self.lengths)).astype(np.int64)
        batch = np.searchsorted(self._edges, np.arange(len(documents)), side="right") - 1
        sorted_in_pools = np.lexsort((self.lengths[documents], batch // POOL_BATCHES))
        return documents[sorted_in_pools], random.permutation(self.batches_per_epoch)
