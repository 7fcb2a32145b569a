"""Which tokens and documents make up each step: functions of seed and step alone (numpy only)."""
