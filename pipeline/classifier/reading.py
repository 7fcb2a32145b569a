"""How a document is read: in chunks of the length that the language model knows, under a hard cap in tokens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from pipeline.batches.pad import pad


@dataclass(frozen=True)
class Chunks:
    """M chunks of a batch of documents, document after document."""

    # Row of the chunk's document in the batch, and the chunk's number within that document.
    document_M: Tensor
    number_M: Tensor
    # First position of the chunk in its document, and its tokens.
    start_M: Tensor
    length_M: Tensor
    # Tokens at its beginning that the chunk before has read too: context, not counted again.
    context_M: Tensor
    # Whether it ends its document, and whether gradients flow through it.
    last_M: Tensor
    trains_M: Tensor

    @property
    def most(self) -> int:
        """Chunks of the document that has most of them."""
        return int(self.number_M.max()) + 1

    def take(self, rows: Tensor, device: torch.device) -> "Chunks":
        """Some of the chunks, on another device."""
        return Chunks(*(getattr(self, field.name)[rows].to(device) for field in fields(self)))


@dataclass(frozen=True)
class Reading:
    """Chunks of `chunk_tokens`, each beginning `overlap` tokens before the end of the one before.

    A chunk is what a window is to the language model: it begins anywhere in a text and its first token stands at
    position 0. No `<bos>` is put before the later chunks, because in training that token promises the beginning of a
    document; what gives a chunk context is `overlap`, whose tokens are read twice and pooled once, in the earlier
    chunk (there they have the longer context), or in a recurrent network the state that the chunk before has left.
    """

    chunk_tokens: int
    overlap: int
    # No more than this many tokens of a document are read. The last of them is always the document's own last token,
    # `<eos>`, so that a document cut short ends as every other does.
    max_tokens: int
    # Gradients flow through this many last chunks of a document: BPT3C (Howard & Ruder 2018, section 3.3).
    gradient_chunks: int = 1
    # With the causal mask of the language model, or seeing both sides within a chunk.
    causal: bool = True
    # Each chunk goes on from the state after the one before, as a recurrent network's windows do.
    carries: bool = False

    @property
    def stride(self) -> int:
        """New tokens of each chunk after the first."""
        return self.chunk_tokens - self.overlap

    def cap(self, tokens: np.ndarray) -> np.ndarray:
        """The tokens of one document that are read: all, or the first `max_tokens - 1` and its last."""
        if len(tokens) <= self.max_tokens:
            return tokens
        return np.concatenate([tokens[: self.max_tokens - 1], tokens[-1:]])

    def cut(self, lengths: Iterable[int] | np.ndarray) -> tuple[int, int]:
        """Documents that the cap shortens, and the tokens it leaves out, of documents of these lengths."""
        beyond = np.maximum(np.asarray(lengths, dtype=np.int64) - self.max_tokens, 0)
        return int((beyond > 0).sum()), int(beyond.sum())

    def trained_share(self, lengths: np.ndarray) -> float:
        """Share of the tokens read of documents of these lengths through which gradients flow."""
        read = np.minimum(np.asarray(lengths, dtype=np.int64), self.max_tokens)
        chunks = self.chunks(torch.from_numpy(read))
        return float(chunks.length_M[chunks.trains_M].sum() / chunks.length_M.sum())

    def batch(self, documents: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Capped, right-padded int64 `tokens_BT`, and their true `lengths_B`."""
        tokens_BT, lengths_B = pad([self.cap(tokens) for tokens in documents])
        return torch.from_numpy(tokens_BT), torch.from_numpy(lengths_B)

    def chunks(self, lengths_B: Tensor) -> Chunks:
        """Lay the chunks of documents of these lengths (each at least 1) out in one flat list, on the CPU."""
        lengths_B = lengths_B.cpu()
        # One chunk, and one more for each stride (or part of it) beyond the first chunk's end.
        counts_B = 1 + (lengths_B - self.chunk_tokens).clamp(min=0).add(self.stride - 1) // self.stride
        document_M = torch.arange(len(counts_B)).repeat_interleave(counts_B)
        number_M = torch.arange(len(document_M)) - (counts_B.cumsum(0) - counts_B)[document_M]
        start_M = number_M * self.stride
        from_the_end_M = counts_B[document_M] - 1 - number_M
        return Chunks(
            document_M=document_M,
            number_M=number_M,
            start_M=start_M,
            length_M=(lengths_B[document_M] - start_M).clamp(max=self.chunk_tokens),
            context_M=torch.where(number_M > 0, self.overlap, 0),
            last_M=from_the_end_M == 0,
            trains_M=from_the_end_M < self.gradient_chunks,
        )
