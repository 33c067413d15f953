"""The core: regions, and all that is behind them. It knows no web framework."""
