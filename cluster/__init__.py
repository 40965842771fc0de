"""Where trials run: cluster YAMLs and the tools that check, simulate, price and submit them."""
