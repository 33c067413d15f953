"""How refreshes are carried out: one port, one module for each way."""
