"""Token shards: a tokenised corpus in memory-mapped files with document boundaries and checksums."""
