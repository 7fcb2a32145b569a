"""The special tokens of every tokenizer of this pipeline, in the order of their numbers."""

PAD, BOS, EOS, MASK, CLS, SEP = range(6)
SENTINELS = 100  # <extra_0> ..., which stand for the spans that span corruption takes out (Raffel et al. 2020, 3.1.4)

SPECIALS = ("<pad>", "<bos>", "<eos>", "<mask>", "<cls>", "<sep>", *(f"<extra_{i}>" for i in range(SENTINELS)))
