"""Search algorithms: what to try next."""
