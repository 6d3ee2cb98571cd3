"""SQL over the store: tables as rows of Python values, and DataFusion that queries them."""
