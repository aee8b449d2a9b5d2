"""The report of a month, a quarter or a season: indicators of R7 and what stands behind them."""
