"""Networks in plain torch. This room imports nothing of ours and knows no config file."""
