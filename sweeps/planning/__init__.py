"""A sweep in virtual time: its own search and scheduler on a simulated cluster; what it takes and costs."""
